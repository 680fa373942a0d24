/**
 * An engine between two registries: Debian's docker-registry with a password (basic auth), and ours with accounts (tokens).
 * Both have the same account; DOCKER_CONFIG is the world's own.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createHash } from "node:crypto";
import { TestDockerRegistry } from "./docker-registry.ts";
import { type Result, type RunOptions, TestEngine } from "./engine.ts";
import { registryCommand } from "./registry-command.ts";
import { TestRegistry } from "./registry.ts";

export const account = { user: "alice", password: "secret of alice" } as const;

export class RegistryWorld {
  readonly dir: string;
  readonly engine: TestEngine;
  readonly debian: TestDockerRegistry;
  readonly ours: TestRegistry;

  private constructor(dir: string, engine: TestEngine, debian: TestDockerRegistry, ours: TestRegistry) {
    this.dir = dir;
    this.engine = engine;
    this.debian = debian;
    this.ours = ours;
  }

  static async open(name: string): Promise<RegistryWorld> {
    const dir = mkdtempSync(`/tmp/gantry-${name}-world-`);
    const root = `${dir}/ours`;
    mkdirSync(root);
    await registryCommand(root, ["user", "add", "--password-stdin", account.user], `${account.password}\n`);
    await registryCommand(root, ["grant", account.user, "**", "pull,push,delete"]);
    const [debian, ours] = await Promise.all([
      TestDockerRegistry.start(`${account.user}:${account.password}`),
      TestRegistry.start(root),
    ]);
    const engine = new TestEngine(name);
    await engine.start();
    return new RegistryWorld(dir, engine, debian, ours);
  }

  get hosts(): { readonly debian: string; readonly ours: string } {
    return { debian: `127.0.0.1:${this.debian.port}`, ours: `127.0.0.1:${this.ours.port}` };
  }

  get env(): Record<string, string> {
    return {
      PATH: process.env["PATH"] ?? "",
      HOME: this.dir,
      DOCKER_CONFIG: `${this.dir}/docker`,
      DOCKER_HOST: `unix://${this.engine.socket}`,
      DOCKER_BUILDKIT: "0",
    };
  }

  /** Any program to its end, in the world's environment. */
  async run(words: readonly string[], stdin?: string): Promise<Result> {
    const child = Bun.spawn([...words], {
      stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
      stdout: "pipe",
      stderr: "pipe",
      env: this.env,
      cwd: this.dir,
      timeout: 50_000,
      killSignal: "SIGKILL",
    });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, out, err };
  }

  /** What it printed. @throws {Error} when it failed */
  async ok(...words: readonly string[]): Promise<string> {
    const { code, out, err } = await this.run(words);
    if (code !== 0) throw new Error(`${words.join(" ")} exited with ${code}: ${err}${out}`);
    return out.trim();
  }

  /** Our own client. */
  gantry(words: readonly string[], options: RunOptions = {}): Result {
    return this.engine.run(words, { ...options, env: { ...this.env, ...options.env } });
  }

  gantryOk(...words: readonly string[]): string {
    const { code, out, err } = this.gantry(words);
    if (code !== 0) throw new Error(`gantry ${words.join(" ")} exited with ${code}: ${err}${out}`);
    return out.trim();
  }

  /** Logs our client in to both registries: docker's clients and the others see it, too. */
  login(): void {
    for (const host of Object.values(this.hosts)) {
      const { code, err } = this.gantry(["login", "-u", account.user, "--password-stdin", host], {
        stdin: `${account.password}\n`,
      });
      if (code !== 0) throw new Error(err);
    }
  }

  /** The manifest's bytes as skopeo sees them in a registry. */
  async manifest(image: string): Promise<{ readonly digest: string; readonly text: string }> {
    const creds = `${account.user}:${account.password}`;
    const child = Bun.spawn(
      ["skopeo", "inspect", "--raw", "--tls-verify=false", "--creds", creds, `docker://${image}`],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe", env: this.env },
    );
    const [text, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    if ((await child.exited) !== 0) throw new Error(err);
    return { digest: `sha256:${createHash("sha256").update(text).digest("hex")}`, text };
  }

  /** skopeo copies with the account on both sides. */
  async skopeo(from: string, to: string, ...flags: readonly string[]): Promise<void> {
    const creds = `${account.user}:${account.password}`;
    const sides = [
      ...(from.startsWith("docker://") ? ["--src-tls-verify=false", "--src-creds", creds] : []),
      ...(to.startsWith("docker://") ? ["--dest-tls-verify=false", "--dest-creds", creds] : []),
    ];
    await this.ok("skopeo", "--insecure-policy", "copy", "-q", ...sides, ...flags, from, to);
  }

  async close(): Promise<void> {
    await this.engine.uninstall();
    await this.ours.kill();
    await this.debian[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
