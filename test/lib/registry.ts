/** `gantry registry serve` of the compiled binary, for tests. */
import { mkdirSync, readFileSync } from "node:fs";
import { binary } from "./engine.ts";
import { freePort } from "./postgres.ts";

/** $GANTRY_SOURCE=1 runs from the sources, without a build. */
const command: readonly string[] =
  process.env["GANTRY_SOURCE"] === "1"
    ? [process.execPath, new URL("../../src/main.ts", import.meta.url).pathname]
    : [binary];

export class TestRegistry {
  readonly root: string;
  readonly port: number;
  readonly #flags: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #child: Bun.Subprocess<"ignore", "pipe", Bun.BunFile> | undefined;

  private constructor(
    root: string,
    port: number,
    flags: readonly string[],
    env: Readonly<Record<string, string>>,
  ) {
    this.root = root;
    this.port = port;
    this.#flags = flags;
    this.#env = env;
  }

  /** @param root its directory, which the test removes */
  static async start(
    root: string,
    flags: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<TestRegistry> {
    mkdirSync(root, { recursive: true });
    const registry = new TestRegistry(root, await freePort(), flags, env);
    await registry.up();
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get log(): string {
    return readFileSync(`${this.root}.log`, "utf8");
  }

  async up(): Promise<void> {
    const place = ["--addr", `127.0.0.1:${this.port}`, "--root", this.root];
    const child = Bun.spawn([...command, "registry", "serve", ...place, ...this.#flags], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: Bun.file(`${this.root}.log`),
      env: { ...process.env, ...this.#env },
    });
    this.#child = child;
    for await (const piece of child.stdout) {
      if (Buffer.from(piece).includes("ready")) return;
    }
    throw new Error(`the registry has not started: ${this.log}`);
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  async stop(): Promise<void> {
    this.#child?.kill("SIGTERM");
    await this.#child?.exited;
  }

  /** Runs `gantry registry WORDS` on the same stores. */
  async run(...words: readonly string[]): Promise<string> {
    const stores = this.#flags.flatMap((flag, i) =>
      /^--(database|s3|s3-endpoint|blobs)$/.test(flag) ? [flag, this.#flags[i + 1] ?? ""] : [],
    );
    const child = Bun.spawn([...command, "registry", ...words, "--root", this.root, ...stores], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...this.#env },
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`registry ${words.join(" ")}: ${out}${err}`);
    return out;
  }
}
