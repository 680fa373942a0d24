/**
 * An image's way: loaded from an archive, pushed to a registry, pulled again. Every round begins with empty stores and an
 * empty registry (Debian's docker-registry, in the namespace of the engine that uses it), so that nobody lives on an earlier one.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DockerHost, GantryHost } from "../hosts.ts";
import type { Limit, Result } from "../result.ts";
import { output, timeOnce } from "../run-command.ts";
import { type Summary, summarize } from "../statistics.ts";

/** Who takes part: its command line, and how to be in the network namespace where its engine looks for the registry. */
export interface Player {
  readonly name: string;
  readonly client: readonly string[];
  readonly enter: readonly string[];
  /** Of push and pull: how this client is told that the registry speaks plain HTTP. */
  readonly plainHttp: readonly string[];
}

const files = 5_000;
const port = 5917;
const loaded = "bench/debian:1";
const remote = `127.0.0.1:${port}/bench/debian:1`;

/** Debian's base system and a layer of 5,000 files on it, as `docker save` writes it. */
export function makeImage(docker: DockerHost, dir: string): string {
  mkdirSync(dir, { recursive: true });
  const rootfs = join(dir, "rootfs.tar");
  const slim = '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin';
  output("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", slim, "bookworm", rootfs);
  output(...docker.client, "import", rootfs, "bench/base:1");
  rmSync(rootfs);
  const context = join(dir, "context");
  mkdirSync(context);
  writeFileSync(join(context, "Dockerfile"), "FROM bench/base:1\nCOPY tree /srv/tree\n");
  for (let i = 0; i < files; i++) {
    const folder = join(context, "tree", String(i % 50));
    if (i < 50) mkdirSync(folder, { recursive: true });
    // From 100 bytes to 16 KB, half of it compressible.
    const half = new Uint8Array(50 + ((i * 37) % 8_000)).map((_, at) => (at * i * 2_654_435_761) >>> 13);
    writeFileSync(join(folder, `file-${i}`), Buffer.concat([half, Buffer.alloc(half.length, "gantry ")]));
  }
  output(...docker.client, "build", "-q", "-t", loaded, context);
  const archive = join(dir, "image.tar");
  output(...docker.client, "save", "-o", archive, loaded);
  output(...docker.client, "rmi", "-f", loaded, "bench/base:1");
  rmSync(context, { recursive: true });
  return archive;
}

/** Debian's registry on an empty directory, until disposed of. */
async function startRegistry(dir: string, enter: readonly string[]): Promise<AsyncDisposable> {
  const place = mkdtempSync(join(dir, "registry-"));
  const config = join(place, "config.yml");
  const text = `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${place}}}\nhttp: {addr: "127.0.0.1:${port}"}\n`;
  writeFileSync(config, text);
  const child = Bun.spawn([...enter, "docker-registry", "serve", config], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    env: { ...process.env, OTEL_TRACES_EXPORTER: "none" },
  });
  const probe = [...enter, "curl", "-fso", "/dev/null", `http://127.0.0.1:${port}/v2/`];
  for (const deadline = Date.now() + 20_000; Bun.spawnSync(probe).exitCode !== 0; await Bun.sleep(20)) {
    if (Date.now() > deadline) throw new Error("docker-registry did not start");
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(place, { recursive: true, force: true });
    },
  };
}

const acts = ["load", "push", "pull"] as const;
type Act = (typeof acts)[number];

async function oneRound(player: Player, archive: string, dir: string): Promise<Record<Act, number>> {
  // Nobody pays for what another has left to the disk.
  output("sync");
  await using _registry = await startRegistry(dir, player.enter);
  const time = (...words: readonly string[]): number =>
    timeOnce({ name: player.name, words: [...player.client, ...words] });
  const load = time("load", "-i", archive);
  output(...player.client, "tag", loaded, remote);
  const push = time("push", ...player.plainHttp, remote);
  const forget = (...names: readonly string[]): string => output(...player.client, "rmi", "-f", ...names);
  forget(loaded, remote);
  const pull = time("pull", ...player.plainHttp, remote);
  forget(remote);
  return { load, push, pull };
}

const limits: Readonly<Record<Act, Limit>> = {
  load: { is: "ratio", atMost: 0.4 },
  push: { is: "ratio", atMost: 0.5 },
  pull: { is: "ratio", atMost: 0.4 },
};

const details: Readonly<Record<Act, string>> = {
  load: `\`load\` of a Debian base with a layer of ${files} files (docker save's archive) into an empty store`,
  push: "`push` of the image just loaded to an empty docker-registry on loopback: compressed on the way",
  pull: "`pull` of it from that registry into a store that has none of it",
};

export interface ImageSides {
  readonly gantry: GantryHost;
  readonly docker: DockerHost;
  readonly podman: readonly string[];
  readonly inGantry: readonly string[];
  readonly inDocker: readonly string[];
  readonly dir: string;
  readonly rounds: number;
}

/** Two results an act: against docker and against podman. */
export async function measureImages(sides: ImageSides): Promise<Result[]> {
  const archive = makeImage(sides.docker, join(sides.dir, "image"));
  const players: readonly Player[] = [
    { name: "gantry", client: sides.gantry.client, enter: sides.inGantry, plainHttp: [] },
    { name: "docker.io", client: sides.docker.client, enter: sides.inDocker, plainHttp: [] },
    { name: "podman", client: sides.podman, enter: [], plainHttp: ["--tls-verify=false"] },
  ];
  const times = new Map<string, number[]>();
  for (let round = -1; round < sides.rounds; round++) {
    for (const player of players) {
      const took = await oneRound(player, archive, sides.dir);
      // The first round fills the page cache.
      if (round < 0) continue;
      for (const act of acts) {
        const key = `${act} ${player.name}`;
        times.set(key, [...(times.get(key) ?? []), took[act]]);
      }
    }
  }
  const of = (act: Act, name: string): Summary => summarize(times.get(`${act} ${name}`) ?? []);
  return acts.flatMap((act) =>
    ["docker.io", "podman"].map((peer): Result => {
      const figure = of(act, peer);
      const name = `${act} an image, beside ${peer}`;
      return {
        name,
        detail: details[act],
        unit: "ms",
        ours: of(act, "gantry"),
        peers: [{ name: peer, figure }],
        limit: limits[act],
      };
    }),
  );
}
