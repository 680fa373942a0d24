/**
 * `make bench`: Gantry and its peers side by side in one run. Prints a Markdown table, writes it and a chart to bench/out,
 * and fails when a limit is missed. Words: `--rounds N` (default 25), `--total N` containers of the crowd (default 1000),
 * `--only oci` for the OCI runtime alone, `--only images` for load, push and pull, `--only engine` for the engine's daily work, `--only registry` for the registry alone.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type DockerHost,
  type GantryHost,
  inNamespace,
  makeNamespace,
  removeTraces,
  startDocker,
  startGantry,
} from "./hosts.ts";
import { measureEngine } from "./measures/engine.ts";
import { measureImages } from "./measures/images.ts";
import { measureMany, measureRestart } from "./measures/many.ts";
import { measureIdleEngine, measureMonitor } from "./measures/memory.ts";
import { measureOci } from "./measures/oci.ts";
import { measureRegistry } from "./measures/registry.ts";
import { measureExec, measureRun, measureVersion } from "./measures/start.ts";
import { markdown, svg } from "./report.ts";
import { holds, type Result } from "./result.ts";
import { makeArchive, makeRootfs } from "./rootfs.ts";
import { output } from "./run-command.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "25" },
    total: { type: "string", default: "1000" },
    only: { type: "string", default: "all" },
  },
});
const rounds = Number(values.rounds);
const total = Number(values.total);
/** An image's whole way takes half a minute with docker and podman. */
const imageRounds = Math.max(1, Math.floor(rounds / 5));

/** Each writes gigabytes. */
const registryRounds = Math.min(rounds, 3);

const dir = mkdtempSync("/tmp/gantry-bench-");
const ourNamespace = "gantry-bench-a";
const theirNamespace = "gantry-bench-b";

async function measure(): Promise<Result[]> {
  using _ours = makeNamespace(ourNamespace);
  using _theirs = makeNamespace(theirNamespace);
  const rootfs = makeRootfs(join(dir, "rootfs"));
  const archive = makeArchive(rootfs, join(dir, "busybox.tar"));
  const start = (): Promise<GantryHost> => startGantry(join(dir, "g"), ourNamespace);
  let gantry = await start();
  const docker: DockerHost = await startDocker(join(dir, "d"), theirNamespace);
  try {
    const podman = [
      "podman",
      // Podman would take crun where that is installed, which refuses some cgroup layouts.
      "--runtime",
      "runc",
      "--root",
      join(dir, "p"),
      "--runroot",
      join(dir, "pr"),
      "--cgroup-manager",
      "cgroupfs",
    ];
    const images = {
      gantry,
      docker,
      podman,
      inGantry: inNamespace(ourNamespace),
      inDocker: inNamespace(theirNamespace),
      dir,
      rounds: imageRounds,
    };
    if (values.only === "images") return await measureImages(images);
    for (const client of [gantry.client, docker.client, podman])
      output(...client, "import", archive, "busybox");
    if (values.only === "engine") return measureEngine({ gantry, docker, dir, rounds });
    const sides = { gantry, docker, podman, rounds };
    const results = [
      measureRun(sides),
      measureExec(sides),
      ...measureEngine({ gantry, docker, dir, rounds }),
      ...(await measureOci(dir, rootfs, rounds)),
      measureVersion(sides),
      measureMonitor(gantry, docker),
      await measureIdleEngine(gantry, docker),
      ...(await measureImages(images)),
    ];
    results.push(...(await measureMany(gantry, total)));
    const [restarted, host] = await measureRestart(gantry, total, start);
    gantry = host;
    return [...results, restarted, ...(await measureRegistry(dir, registryRounds))];
  } finally {
    await Promise.all([gantry.stop(), docker.stop()]);
  }
}

async function chosen(): Promise<Result[]> {
  if (values.only === "oci") return measureOci(dir, makeRootfs(join(dir, "rootfs")), rounds);
  if (values.only === "registry") return measureRegistry(dir, registryRounds);
  return measure();
}

async function main(): Promise<number> {
  try {
    const results = await chosen();
    const machine = `${cpus().length} cores (${cpus()[0]?.model.trim() ?? "unknown"}), Linux ${release()}`;
    const table = markdown(results, machine);
    const out = join(import.meta.dir, "out");
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, "results.md"), table);
    writeFileSync(join(out, "results.svg"), svg(results));
    process.stdout.write(`${table}\nwritten to ${join(out, "results.md")} and ${join(out, "results.svg")}\n`);
    return results.every(holds) ? 0 : 1;
  } finally {
    removeTraces(join(dir, "p"));
    rmSync(dir, { recursive: true, force: true });
  }
}

process.exitCode = await main();
