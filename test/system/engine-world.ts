/** An engine of its own for a test: directories below /tmp, a busybox image, and nothing left behind. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ContainerConfig, HostConfig } from "../../src/engine/container.ts";
import { defaultConfig, defaultHostConfig } from "../../src/engine/create-defaults.ts";
import { type EngineDefaults, engineDefaults } from "../../src/engine/engine-defaults.ts";
import { Engine } from "../../src/engine/index.ts";
import { cgroupParent } from "../../src/engine/paths.ts";
import { usualLiveSettings } from "../../src/engine/settings/engine-settings.ts";
import type { CreateRequest } from "../../src/engine/api/parse-create.ts";
import { createLogger, tarHeader, tarPadding, tarTrailer } from "../../src/lib/index.ts";
import type { AttachSession } from "../../src/runtime/index.ts";

const applets =
  "sh true false sleep cat echo ls id pwd env printf kill ps mount touch mkdir rm stty head seq hostname nslookup wget nc dd ping sync stat grep".split(
    " ",
  );

export const allStreams = { stdin: true, stdout: true, stderr: true };
export const outputStreams = { stdin: false, stdout: true, stderr: true };

export class World {
  readonly dir: string = mkdtempSync("/tmp/gantry-engine-");
  readonly root: string = join(this.dir, "lib");
  readonly state: string = join(this.dir, "run");
  readonly log: string[] = [];
  readonly #defaults: Partial<EngineDefaults>;
  #engine: Engine | undefined;

  constructor(defaults: Partial<EngineDefaults> = {}) {
    this.#defaults = defaults;
  }

  get engine(): Engine {
    if (this.#engine === undefined) throw new Error("the engine is not open");
    return this.#engine;
  }

  async open(): Promise<Engine> {
    const logger = createLogger("debug", (line) => void this.log.push(line));
    this.#engine = await Engine.open({
      root: this.root,
      state: this.state,
      logger,
      live: { ...usualLiveSettings, containers: { ...engineDefaults, ...this.#defaults } },
    });
    if (this.#engine.images.tryFind("busybox") === undefined) await importBusybox(this.#engine);
    return this.#engine;
  }

  async close(): Promise<void> {
    await this.#engine?.close();
    this.#engine = undefined;
  }

  /** Removes all containers and everything else that the engine made. */
  async destroy(): Promise<void> {
    const engine = this.#engine ?? (await this.open());
    for (const { record } of engine.containers.list())
      await engine.containers.remove(record.id, { force: true, volumes: true });
    const { networks, paths } = engine;
    await networks.deleteAll();
    await this.close();
    for (const hierarchy of ["", ...readdirSync("/sys/fs/cgroup")]) {
      rmdirIfThere(join("/sys/fs/cgroup", hierarchy, cgroupParent(paths)));
    }
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** What of this engine's is left in cgroups and monitors, by name. */
  leftovers(): string[] {
    const parent = cgroupParent(this.engine.paths);
    const cgroups = ["", ...readdirSync("/sys/fs/cgroup")].flatMap((hierarchy) =>
      directories(join("/sys/fs/cgroup", hierarchy, parent)),
    );
    const sockets = readdirSync(join(this.state, "m"));
    return [...new Set([...cgroups, ...sockets, ...readdirSync(join(this.root, "containers"))])];
  }
}

function directories(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    // ENOENT, ENOTDIR: this hierarchy has no cgroup of ours.
    return [];
  }
}

function rmdirIfThere(dir: string): void {
  try {
    Bun.spawnSync(["rmdir", dir], { stderr: "ignore" });
  } catch {
    // No rmdir on this machine: nothing that the test is about.
  }
}

async function* busyboxTar(): AsyncGenerator<Uint8Array> {
  const program = readFileSync("/bin/busybox");
  for (const path of ["bin", "etc", "tmp", "data", "proc", "sys", "dev"])
    yield tarHeader({ path, type: "dir" });
  yield* file("bin/busybox", program, 0o755);
  for (const applet of applets)
    yield tarHeader({ path: `bin/${applet}`, type: "symlink", linkPath: "busybox" });
  yield* file(
    "etc/passwd",
    Buffer.from("root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/data:/bin/sh\n"),
    0o644,
  );
  yield* file("etc/group", Buffer.from("root:x:0:\nwww:x:34:\naudio:x:29:web\n"), 0o644);
  yield* file("data/seed", Buffer.from("from the image\n"), 0o644);
  yield tarTrailer;
}

function* file(path: string, bytes: Uint8Array, mode: number): Generator<Uint8Array> {
  yield tarHeader({ path, type: "file", size: bytes.length, mode });
  yield bytes;
  yield tarPadding(bytes.length);
}

async function importBusybox(engine: Engine): Promise<void> {
  await engine.images.importTar(busyboxTar(), {
    reference: "busybox",
    config: { Cmd: ["sh"], Env: ["FROM=image"] },
  });
}

export function request(
  Cmd: readonly string[],
  host: Partial<HostConfig> = {},
  config: Partial<ContainerConfig> = {},
  name = "",
): CreateRequest {
  return {
    name,
    config: { ...defaultConfig, Image: "busybox", Cmd, ...config },
    entrypointSet: false,
    host: { ...defaultHostConfig, NetworkMode: "none", ...host },
    network: { aliases: [], ip: "", mac: "" },
    warnings: [],
  };
}

export interface Said {
  readonly out: string;
  readonly err: string;
  readonly exitCode: number | undefined;
}

/** All that a session says until its end. */
export function listen(session: AttachSession | undefined): Promise<Said> {
  if (session === undefined) throw new Error("there is no session");
  const { promise, resolve } = Promise.withResolvers<Said>();
  const text = { 1: "", 2: "" };
  session.begin({
    onOutput: (stream, bytes) => {
      text[stream] += Buffer.from(bytes).toString();
      return undefined;
    },
    onEnd: (exited) => resolve({ out: text[1], err: text[2], exitCode: exited?.exitCode }),
  });
  return promise;
}

/** Runs one container to its end. */
export async function runOnce(engine: Engine, ...given: Parameters<typeof request>): Promise<Said> {
  const { session } = await engine.containers.run(request(...given), {
    attach: outputStreams,
    rows: 0,
    cols: 0,
  });
  return listen(session);
}

/** Waits until `holds`, 10 s at most. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds(); await Bun.sleep(10)) {
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`);
  }
}
