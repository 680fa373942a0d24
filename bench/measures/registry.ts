/**
 * Registries under load: `gantry registry` and Debian's docker-registry, pushed to and pulled from by clients that cost next
 * to nothing (bench/load/registry-load.c), on empty directories each time, one after the other.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Result } from "../result.ts";
import { output } from "../run-command.ts";
import { summarize } from "../statistics.ts";

const root = new URL("../..", import.meta.url).pathname;
const port = 5918;
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";
/** What the C program writes before the common body. */
const seedBytes = 64;

interface Shape {
  readonly name: string;
  readonly clients: number;
  /** Images a client pushes, each with `layers` layers. */
  readonly images: number;
  readonly layers: number;
  readonly layerBytes: number;
}

const shapes: readonly Shape[] = [
  { name: "1 client, layers of 8 MB", clients: 1, images: 16, layers: 3, layerBytes: 8 << 20 },
  { name: "32 clients, layers of 4 MB", clients: 32, images: 2, layers: 3, layerBytes: 4 << 20 },
  { name: "32 clients, layers of 10 KB", clients: 32, images: 10, layers: 3, layerBytes: 10 << 10 },
];

/** 10 GB for the memory's sake. */
const heavy: Shape = { name: "10 GB", clients: 32, images: 10, layers: 4, layerBytes: 8 << 20 };

interface Plans {
  readonly push: string;
  readonly pull: string;
}

/** What the clients are to do, with every digest known before the clock runs. */
function makePlans(dir: string, body: Uint8Array, shape: Shape): Plans {
  const push: string[] = [];
  const pull: string[] = [];
  const blob = (seed: string, size: number): { digest: string; size: number; seed: string } => {
    const first = Buffer.alloc(Math.min(seedBytes, size), " ");
    first.write(seed);
    const hash = createHash("sha256").update(first);
    if (size > seedBytes) hash.update(body.subarray(seedBytes, size));
    return { digest: `sha256:${hash.digest("hex")}`, size, seed };
  };
  for (let client = 0; client < shape.clients; client++) {
    const repository = `bench/c${client}`;
    for (let image = 0; image < shape.images; image++) {
      const name = `c${client}-i${image}`;
      const config = blob(`${name}-config`, 2_000);
      const layers = Array.from({ length: shape.layers }, (_, i) => blob(`${name}-l${i}`, shape.layerBytes));
      const manifest = JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: { mediaType: configType, digest: config.digest, size: config.size },
        layers: layers.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
      });
      const file = join(dir, `${name}.json`);
      writeFileSync(file, manifest);
      pull.push(`${client} get /v2/${repository}/manifests/v${image} ${manifest.length} ${manifestType}`);
      for (const { digest, size, seed } of [...layers, config]) {
        push.push(`${client} blob ${repository} ${digest} ${size} ${seed}`);
        pull.push(`${client} get /v2/${repository}/blobs/${digest} ${size} -`);
      }
      push.push(`${client} put ${repository} v${image} ${manifestType} ${file}`);
    }
  }
  return { push: `${push.join("\n")}\n`, pull: `${pull.join("\n")}\n` };
}

interface Registry {
  readonly name: string;
  readonly words: (dir: string) => readonly string[];
}

const registries: readonly Registry[] = [
  {
    name: "gantry",
    words: (dir) => [
      join(root, "dist/gantry"),
      "registry",
      "serve",
      "--addr",
      `127.0.0.1:${port}`,
      "--root",
      dir,
    ],
  },
  {
    name: "docker-registry",
    words: (dir) => {
      const config = `${dir}.yml`;
      writeFileSync(
        config,
        `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${dir}}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
      );
      return ["docker-registry", "serve", config];
    },
  },
];

interface Running extends AsyncDisposable {
  /** Most memory the process had resident, in MB. */
  peakMb(): number;
}

async function start(registry: Registry, dir: string): Promise<Running> {
  const place = mkdtempSync(join(dir, "registry-"));
  // Nobody pays for what another has left to the disk.
  output("sync");
  const child = Bun.spawn([...registry.words(place)], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    env: { ...process.env, OTEL_TRACES_EXPORTER: "none" },
  });
  const probe = ["curl", "-fso", "/dev/null", `http://127.0.0.1:${port}/v2/`];
  for (const deadline = Date.now() + 20_000; Bun.spawnSync(probe).exitCode !== 0; await Bun.sleep(20)) {
    if (Date.now() > deadline) throw new Error(`${registry.name} did not start`);
  }
  return {
    peakMb: () =>
      Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0) / 1024,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(place, { recursive: true, force: true });
      rmSync(`${place}.yml`, { force: true });
    },
  };
}

/** Runs a plan; milliseconds. @throws {Error} when any request failed */
function load(program: string, body: string, plan: string): number {
  const done = Bun.spawnSync([program, "127.0.0.1", String(port), body], {
    stdin: Buffer.from(plan),
    stderr: "inherit",
  });
  const report = JSON.parse(done.stdout.toString() || "{}") as { seconds?: number; failures?: number };
  if (done.exitCode !== 0 || report.seconds === undefined)
    throw new Error(`the load failed: ${done.stdout.toString()}`);
  return report.seconds * 1000;
}

export async function measureRegistry(dir: string, rounds: number): Promise<Result[]> {
  const place = join(dir, "load");
  mkdirSync(place, { recursive: true });
  const program = join(place, "registry-load");
  output("gcc", "-O2", "-pthread", "-o", program, join(root, "bench/load/registry-load.c"));
  const body = crypto.getRandomValues(new Uint8Array(1 << 16));
  const big = Buffer.alloc(8 << 20);
  for (let at = 0; at < big.length; at += body.length) big.set(body, at);
  const bodyFile = join(place, "body");
  writeFileSync(bodyFile, big);
  const results: Result[] = [];
  for (const shape of shapes) {
    const plans = makePlans(place, big, shape);
    const times = { push: new Map<string, number[]>(), pull: new Map<string, number[]>() };
    for (let round = 0; round < rounds; round++) {
      for (const registry of registries) {
        await using _running = await start(registry, dir);
        for (const act of ["push", "pull"] as const)
          times[act].set(registry.name, [
            ...(times[act].get(registry.name) ?? []),
            load(program, bodyFile, plans[act]),
          ]);
      }
    }
    for (const act of ["push", "pull"] as const) {
      results.push({
        name: `registry: ${act}, ${shape.name}`,
        detail: `time for ${shape.clients * shape.images} images of ${shape.layers} layers, as docker's client does it`,
        unit: "ms",
        ours: summarize(times[act].get("gantry") ?? []),
        peers: [{ name: "docker-registry", figure: summarize(times[act].get("docker-registry") ?? []) }],
        limit: { is: "ratio", atMost: 0.5 },
      });
    }
  }
  results.push(await measureMemory(dir, { program, bodyFile, big, place }));
  return results;
}

interface Loader {
  readonly program: string;
  readonly bodyFile: string;
  readonly big: Uint8Array;
  readonly place: string;
}

async function measureMemory(dir: string, { program, bodyFile, big, place }: Loader): Promise<Result> {
  const plans = makePlans(place, big, heavy);
  const peaks = new Map<string, number>();
  for (const registry of registries) {
    await using running = await start(registry, dir);
    load(program, bodyFile, plans.push);
    peaks.set(registry.name, running.peakMb());
  }
  const of = (name: string) => summarize([peaks.get(name) ?? Infinity]);
  return {
    name: "registry: memory while 10 GB are pushed",
    detail: "peak of resident memory, 32 clients",
    unit: "MB",
    ours: of("gantry"),
    peers: [{ name: "docker-registry", figure: of("docker-registry") }],
    limit: { is: "value", atMost: 150 },
  };
}
