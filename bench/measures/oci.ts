/** The OCI runtime alone beside runc, on the bundle that `runc spec` makes: wall time, CPU time, memory. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gantryOci } from "../hosts.ts";
import { pidsOf, pssMb } from "../memory.ts";
import type { Limit, Result } from "../result.ts";
import { output, type Spent, spentBy } from "../run-command.ts";
import { type Summary, summarize } from "../statistics.ts";

interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
  /** Bundles of its own, so that their cgroups are its own: its program ends at once, or stays. */
  readonly bundle: string;
  readonly lasting: string;
}

interface OciWorld {
  readonly runtimes: readonly [Runtime, Runtime];
  readonly rounds: number;
}

interface BenchConfig {
  process: { terminal: boolean; args: string[] };
  root: { path: string };
  linux: { cgroupsPath?: string };
}

const cgroupOf = (bundle: string): string => `/gantry-bench-oci-${bundle.slice(bundle.lastIndexOf("/") + 1)}`;

function makeBundle(bundle: string, rootfs: string, args: string[]): string {
  mkdirSync(bundle, { recursive: true });
  output("runc", "spec", "--bundle", bundle);
  const config: BenchConfig = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
  config.process = { ...config.process, terminal: false, args };
  config.root.path = rootfs;
  config.linux.cgroupsPath = cgroupOf(bundle);
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  return bundle;
}

/** What one round of a runtime spends on each named part. */
type Round = (runtime: Runtime) => Readonly<Record<string, Spent>>;

/** A B A B …, once in vain before. */
function rounds(world: OciWorld, round: Round): (part: string, of: keyof Spent, index: number) => Summary {
  const spent = world.runtimes.map((): Readonly<Record<string, Spent>>[] => []);
  for (let turn = -1; turn < world.rounds; turn++) {
    world.runtimes.forEach((runtime, index) => {
      const result = round(runtime);
      if (turn >= 0) spent[index]?.push(result);
    });
  }
  return (part, of, index) => summarize((spent[index] ?? []).map((one) => one[part]?.[of] ?? Number.NaN));
}

const atMost = (ratio: number): Limit => ({ is: "ratio", atMost: ratio });

/** Wall and CPU time of a part, as two results with one limit. */
function results(
  world: OciWorld,
  figures: ReturnType<typeof rounds>,
  { part, detail, limit }: { readonly part: string; readonly detail: string; readonly limit: Limit },
): Result[] {
  return (["wall", "cpu"] as const).map((kind) => ({
    name: `OCI runtime: ${part}${kind === "cpu" ? ", CPU" : ""}`,
    detail: kind === "cpu" ? `the same, user and system time of the command and what it waited for` : detail,
    unit: "ms",
    ours: figures(part, kind, 0),
    peers: [{ name: world.runtimes[1].name, figure: figures(part, kind, 1) }],
    limit,
  }));
}

async function untilStopped({ command }: Runtime, id: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (output(...command, "state", id).includes('"stopped"')) return;
    await Bun.sleep(2);
  }
  throw new Error(`${id} does not stop`);
}

function measureRun(world: OciWorld): Result[] {
  const figures = rounds(world, ({ command, bundle }) => ({
    run: spentBy([...command, "run", "--bundle", bundle, "bench-run"]),
  }));
  return results(world, figures, {
    part: "run",
    detail: "`run --bundle DIR ID`, busybox `true`, start to exit",
    limit: atMost(0.6),
  });
}

async function measureLifecycle(world: OciWorld): Promise<Result[]> {
  const spent = world.runtimes.map((): Spent[] => []);
  const states = world.runtimes.map((): Spent[] => []);
  for (let turn = -1; turn < world.rounds; turn++) {
    for (const [index, runtime] of world.runtimes.entries()) {
      const id = "bench-life";
      const create = spentBy([...runtime.command, "create", "--bundle", runtime.bundle, id]);
      const state = spentBy([...runtime.command, "state", id]);
      const start = spentBy([...runtime.command, "start", id]);
      await untilStopped(runtime, id);
      const remove = spentBy([...runtime.command, "delete", id]);
      if (turn < 0) continue;
      spent[index]?.push({
        wall: create.wall + start.wall + remove.wall,
        cpu: create.cpu + start.cpu + remove.cpu,
      });
      states[index]?.push(state);
    }
  }
  const figures =
    (all: readonly Spent[][]) =>
    (_: string, of: keyof Spent, index: number): Summary =>
      summarize((all[index] ?? []).map((one) => one[of]));
  return [
    ...results(world, figures(spent), {
      part: "create + start + delete",
      detail: "the three commands' times together, busybox `true`",
      limit: atMost(0.6),
    }),
    ...results(world, figures(states), {
      part: "state",
      detail: "`state ID` of a created container",
      limit: atMost(0.9),
    }),
  ];
}

function measureExec(world: OciWorld): Result[] {
  const id = "bench-exec";
  try {
    for (const { command, lasting } of world.runtimes)
      spentBy([...command, "run", "--detach", "--bundle", lasting, id]);
    const figures = rounds(world, ({ command }) => ({ exec: spentBy([...command, "exec", id, "true"]) }));
    return results(world, figures, {
      part: "exec",
      detail: "`exec ID true` in a running container",
      limit: atMost(0.6),
    });
  } finally {
    for (const { command } of world.runtimes) output(...command, "delete", "--force", id);
  }
}

/** The most that the container's own cgroup has held, in MB. */
function peakMb(cgroup: string): number {
  const files = [
    `/sys/fs/cgroup/memory${cgroup}/memory.max_usage_in_bytes`,
    `/sys/fs/cgroup${cgroup}/memory.peak`,
  ];
  const file = files.find((path) => existsSync(path));
  if (file === undefined) throw new Error(`${cgroup} has no file with its peak of memory`);
  return Number(readFileSync(file, "utf8")) / 2 ** 20;
}

/** A created container that waits: its cgroup's peak, and what its processes take. */
function measureWaiting(world: OciWorld): Result[] {
  const figures = world.runtimes.map(() => ({ peak: [] as number[], pss: [] as number[] }));
  for (let turn = 0; turn < Math.min(world.rounds, 7); turn++) {
    world.runtimes.forEach(({ command, bundle }, index) => {
      const before = new Set(pidsOf("gantry-init"));
      spentBy([...command, "create", "--bundle", bundle, "bench-wait"]);
      const pid: number = JSON.parse(output(...command, "state", "bench-wait")).pid;
      const all = new Set([pid, ...pidsOf("gantry-init").filter((one) => !before.has(one))]);
      figures[index]?.peak.push(peakMb(cgroupOf(bundle)));
      figures[index]?.pss.push([...all].reduce((sum, one) => sum + pssMb(one), 0));
      output(...command, "delete", "--force", "bench-wait");
    });
  }
  const [ours, theirs] = figures;
  if (ours === undefined || theirs === undefined) throw new Error("no runtime was measured");
  const peer = (values: number[]) => [{ name: world.runtimes[1].name, figure: summarize(values) }];
  return [
    {
      name: "OCI runtime: cgroup's peak at create",
      detail: "the most memory that the container's own cgroup has held while it was created",
      unit: "MB",
      ours: summarize(ours.peak),
      peers: peer(theirs.peak),
      limit: atMost(0.25),
    },
    {
      name: "OCI runtime: waiting container, PSS",
      detail: "all processes of a created container that waits for start",
      unit: "MB",
      ours: summarize(ours.pss),
      peers: peer(theirs.pss),
      limit: { is: "value", atMost: 0.7 },
    },
  ];
}

/** @param dir for bundles and state; `rootfs` has busybox */
export async function measureOci(dir: string, rootfs: string, roundCount: number): Promise<Result[]> {
  const runtime = (name: string, program: string): Runtime => ({
    name,
    command: [program, "--root", join(dir, `state-${name}`)],
    bundle: makeBundle(join(dir, `${name}-short`), rootfs, ["true"]),
    lasting: makeBundle(join(dir, `${name}-lasting`), rootfs, ["sleep", "100000"]),
  });
  const world: OciWorld = {
    runtimes: [runtime("gantry", gantryOci), runtime("runc", "runc")],
    rounds: roundCount,
  };
  return [
    ...measureRun(world),
    ...(await measureLifecycle(world)),
    ...measureExec(world),
    ...measureWaiting(world),
  ];
}
