/** What the tests of dist/gantry-oci's command line share: calling it on bundles of its own, and a clean-up. */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { World } from "./runtime-world.ts";

/** The program under test; another one, such as a build with checks, by GANTRY_OCI. */
export const gantryOci = process.env["GANTRY_OCI"] ?? resolve(import.meta.dir, "../../dist/gantry-oci");

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly stdin?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly program?: readonly string[];
}

export class OciWorld {
  readonly world = new World();
  readonly root = `${this.world.dir}/state`;
  readonly #made: string[] = [];
  #calls = 0;

  /** Runs one command on this world's root. */
  call(...words: string[]): Answer {
    return this.callWith({}, ...words);
  }

  callWith(options: CallOptions, ...words: string[]): Answer {
    return this.plain(options, "--root", this.root, ...words);
  }

  /** Without --root. */
  plain(options: CallOptions, ...words: string[]): Answer {
    // Not a pipe for a container that stays: it would keep the pipe's end, and the reader would wait for it.
    const out = `${this.world.dir}/out${++this.#calls}`;
    const err = `${this.world.dir}/err${this.#calls}`;
    const fds = [openSync(out, "w"), openSync(err, "w")] as const;
    const ran = Bun.spawnSync([...(options.program ?? [gantryOci]), ...words], {
      stdin: options.stdin ?? "ignore",
      stdout: fds[0],
      stderr: fds[1],
      env: { ...process.env, ...options.env },
      cwd: options.cwd ?? this.world.dir,
      timeout: 30_000,
    });
    for (const fd of fds) closeSync(fd);
    return { code: ran.exitCode, stdout: readFileSync(out, "utf8"), stderr: readFileSync(err, "utf8") };
  }

  /** A bundle on the shared busybox root; its container is deleted at the end. */
  bundle(name: string, args: readonly string[], change: object = {}, linux: object = {}): string {
    const dir = `${this.world.dir}/${name}`;
    mkdirSync(dir, { recursive: true });
    const { config } = this.world.container({ args });
    const process = { ...config.process, ...("process" in change ? (change.process as object) : {}) };
    writeFileSync(
      `${dir}/config.json`,
      JSON.stringify({
        ...config,
        root: { path: this.world.rootfs },
        ...change,
        process,
        linux: { ...config.linux, cgroupsPath: this.cgroup(name), ...linux },
      }),
    );
    this.#made.push(name);
    return dir;
  }

  /** Of a bundle's container, below each hierarchy. */
  cgroup(name: string): string {
    return `${this.world.prefix}/${name}`;
  }

  state(id: string): Record<string, unknown> {
    return JSON.parse(this.call("state", id).stdout) as Record<string, unknown>;
  }

  status(id: string): string {
    return String(this.state(id)["status"]);
  }

  /** Waits up to 5 s until a container has this status. */
  async until(id: string, status: string): Promise<void> {
    for (let i = 0; i < 500 && this.status(id) !== status; i++) await Bun.sleep(10);
  }

  async cleanUp(): Promise<void> {
    for (const id of this.#made) this.call("delete", "--force", id);
    await this.world.cleanUp();
  }
}
