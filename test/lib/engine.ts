/**
 * An engine of the compiled binary for one test file, in directories of its own below /tmp. `uninstall` removes all that it
 * made on the machine; a test that forgets it is caught by the clean-up check of `test/run.ts`.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

export const binary: string = process.env["GANTRY_BIN"] ?? resolve(import.meta.dir, "../../dist/gantry");

export interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export class TestEngine {
  readonly dir: string;
  readonly #root: string;
  readonly #launcher: readonly string[];
  #child: Bun.Subprocess | undefined;

  /**
   * @param root the engine's data directory, where it must be somewhere else than in the test's own
   * @param launcher a command that executes the words behind it: the engine in a changed world
   */
  constructor(name: string, root?: string, launcher: readonly string[] = []) {
    this.dir = mkdtempSync(`/tmp/gantry-${name}-`);
    this.#root = root ?? join(this.dir, "lib");
    this.#launcher = launcher;
  }

  get places(): readonly string[] {
    return ["--root", this.#root, "--state", join(this.dir, "run")];
  }

  get socket(): string {
    return join(this.dir, "run/engine.sock");
  }

  get pid(): number {
    if (this.#child === undefined) throw new Error("the engine is not running");
    return this.#child.pid;
  }

  /** Starts the engine and waits for its word `ready`; milliseconds it took. @param flags more than its places */
  async start(flags: readonly string[] = []): Promise<number> {
    const started = performance.now();
    const child = Bun.spawn([...this.#launcher, binary, "engine", ...this.places, ...flags], {
      cwd: "/",
      stdin: "ignore",
      stdout: "pipe",
      stderr: Bun.file(join(this.dir, "engine.log")),
    });
    this.#child = child;
    let text = "";
    for await (const piece of child.stdout) {
      text += Buffer.from(piece).toString();
      if (text.includes("ready")) return performance.now() - started;
    }
    throw new Error(
      `the engine did not start: ${readFileSync(join(this.dir, "engine.log"), "utf8").slice(-2000)}`,
    );
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM: containers go on. @returns the exit code */
  async stop(): Promise<number | undefined> {
    return this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<number | undefined> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return undefined;
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), 20_000);
    const code = await child.exited;
    clearTimeout(late);
    return code;
  }

  /** Runs the client to its end. */
  run(words: readonly string[], options: RunOptions = {}): Result {
    const done = Bun.spawnSync([binary, "--no-autostart", ...this.places, ...words], {
      stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
      env: { PATH: process.env["PATH"] ?? "", ...options.env },
      timeout: options.timeoutMs ?? 60_000,
      killSignal: "SIGKILL",
    });
    return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
  }

  /** Runs the client and returns what it printed. @throws {Error} when it failed */
  ok(...words: readonly string[]): string {
    const result = this.run(words);
    if (result.code !== 0)
      throw new Error(`gantry ${words.join(" ")} exited with ${result.code}: ${result.err}${result.out}`);
    return result.out.trim();
  }

  /** A client in the background. */
  spawn(...words: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    return Bun.spawn([binary, "--no-autostart", ...this.places, ...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Removes containers, images, networks, rules and cgroups, ends the engine and deletes its directories. */
  async uninstall(): Promise<void> {
    if (this.#child === undefined) await this.start();
    const child = this.#child;
    const { code, err } = this.run(["system", "uninstall", "--force"], { timeoutMs: 120_000 });
    if (code !== 0) throw new Error(`system uninstall failed: ${err}`);
    await child?.exited;
    this.#child = undefined;
    rmSync(this.dir, { recursive: true, force: true });
  }
}
