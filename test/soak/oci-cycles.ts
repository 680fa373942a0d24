/**
 * `make soak`: gantry-oci over a long time. 10,000 containers are created, started and deleted, four at a time; 2,000 wait
 * at once and are listed. In process and mount namespaces of its own, so that whatever is left is ours.
 * Words: `--cycles N`, `--alive N`. Fails when anything is left, or when `list` takes more than 100 ms.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { makeRootfs } from "../../bench/rootfs.ts";
import { output } from "../../bench/run-command.ts";
import { summarize } from "../../bench/statistics.ts";

const { values } = parseArgs({
  options: { cycles: { type: "string", default: "10000" }, alive: { type: "string", default: "2000" } },
});
const cycles = Number(values.cycles);
const alive = Number(values.alive);
const atOnce = 4;
const longestListMs = 100;
const inside = "GANTRY_SOAK_INSIDE";

const gantryOci = resolve(import.meta.dir, "../../dist/gantry-oci");
const ourCgroup = /gantry-oci\.soak-/;

/** What may be left: counted before and after, and to be the same. */
interface Footprint {
  /** How many by name. */
  readonly processes: Readonly<Record<string, number>>;
  /** Ours: others go from here when somebody removes their directory elsewhere. */
  readonly mounts: number;
  readonly cgroups: number;
  readonly stateFiles: number;
}

/** Of the whole machine, where others work, too: a leak shows as growth with the number of containers. */
interface MachineFootprint {
  readonly openFiles: number;
  readonly slabMiB: number;
  /** Those too that were removed but that the kernel holds still. */
  readonly cgroups: number;
  readonly mounts: number;
  readonly processes: number;
  readonly runFiles: number;
}

function firstNumber(text: string): number {
  return Number(/\d+/.exec(text)?.[0] ?? 0);
}

function machineFootprint(): MachineFootprint {
  const meminfo = readFileSync("/proc/meminfo", "utf8");
  const hierarchies = readFileSync("/proc/cgroups", "utf8").trim().split("\n").slice(1);
  return {
    openFiles: firstNumber(readFileSync("/proc/sys/fs/file-nr", "utf8")),
    slabMiB: Math.round(firstNumber(/^Slab:.*/m.exec(meminfo)?.[0] ?? "") / 1024),
    cgroups: hierarchies.reduce((sum, line) => sum + Number(line.split("\t")[2] ?? 0), 0),
    mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").length,
    processes: Number(/\/(\d+)/.exec(readFileSync("/proc/loadavg", "utf8"))?.[1] ?? 0),
    runFiles: readdirSync("/run", { recursive: true }).length,
  };
}

/** The kernel frees cgroups, namespaces and files some time after their last user: as long as they still get fewer. */
async function settledFootprint(): Promise<MachineFootprint> {
  let seen = machineFootprint();
  for (let quiet = 0; quiet < 5;) {
    await Bun.sleep(1000);
    const now = machineFootprint();
    quiet = now.cgroups < seen.cgroups || now.slabMiB < seen.slabMiB ? 0 : quiet + 1;
    seen = now;
  }
  return seen;
}

/** What grew by more than others can be meant to have added: a tenth of a thing, or 20 KiB, for each container. */
function leaks(before: MachineFootprint, after: MachineFootprint, containers: number): readonly string[] {
  const most = Math.max(200, containers / 10);
  const words: string[] = [];
  for (const name of ["openFiles", "cgroups", "mounts", "processes", "runFiles"] as const)
    if (after[name] - before[name] > most) words.push(`${name}: ${before[name]}, then ${after[name]}`);
  if (after.slabMiB - before.slabMiB > Math.max(128, containers / 50))
    words.push(`slab: ${before.slabMiB} MiB, then ${after.slabMiB}`);
  return words;
}

/** A container without a path of its own is in `gantry-oci.ID`. */
function countCgroups(): number {
  const hierarchies = ["", ...readdirSync("/sys/fs/cgroup")].map((name) => join("/sys/fs/cgroup", name));
  const folders = hierarchies.filter((path) => statSync(path).isDirectory());
  return folders.flatMap((path) => readdirSync(path)).filter((name) => ourCgroup.test(name)).length;
}

/** Of all processes of this pid namespace but us. */
function processNames(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const pid of readdirSync("/proc").filter(
    (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
  )) {
    try {
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      counts[name] = (counts[name] ?? 0) + 1;
    } catch {
      // ESRCH, ENOENT: it has just ended.
    }
  }
  return counts;
}

function footprint(dir: string, state: string): Footprint {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return {
    processes: processNames(),
    mounts: mounts.filter((line) => line.includes(dir)).length,
    cgroups: countCgroups(),
    stateFiles: existsSync(state) ? readdirSync(state).length : 0,
  };
}

function makeBundle(dir: string, rootfs: string, args: readonly string[]): string {
  mkdirSync(dir, { recursive: true });
  output(gantryOci, "spec", "--bundle", dir);
  const file = join(dir, "config.json");
  const config: { process: object; root: object } = JSON.parse(readFileSync(file, "utf8"));
  const changed = {
    ...config,
    process: { ...config.process, terminal: false, args },
    root: { path: rootfs, readonly: true },
  };
  writeFileSync(file, JSON.stringify(changed));
  return dir;
}

class Soak {
  readonly #command: readonly string[];
  readonly #bundle: string;

  constructor(state: string, bundle: string) {
    this.#command = [gantryOci, "--root", state];
    this.#bundle = bundle;
  }

  async run(...words: readonly string[]): Promise<string> {
    const child = Bun.spawn([...this.#command, ...words], {
      stdin: "ignore",
      stdout: words[0] === "create" ? "ignore" : "pipe",
      stderr: words[0] === "create" ? "ignore" : "pipe",
    });
    const code = await child.exited;
    const text = child.stdout instanceof ReadableStream ? await new Response(child.stdout).text() : "";
    const error = child.stderr instanceof ReadableStream ? await new Response(child.stderr).text() : "";
    if (code !== 0) throw new Error(`${words.join(" ")} failed (${code}): ${error}`);
    return text;
  }

  create(id: string): Promise<string> {
    return this.run("create", "--bundle", this.#bundle, id);
  }

  async cycle(id: string): Promise<void> {
    await this.create(id);
    await this.run("start", id);
    for (let tries = 0; !(await this.run("state", id)).includes('"stopped"'); tries++) {
      if (tries > 2000) throw new Error(`${id} does not stop`);
      await Bun.sleep(2);
    }
    await this.run("delete", id);
  }

  /** Each of `count` numbers once, four at a time. */
  async all(count: number, work: (id: string) => Promise<unknown>): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < count) await work(`soak-${next++}`);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }

  /** Milliseconds of `list`, which shows all of them. */
  async timeList(count: number): Promise<number> {
    const started = performance.now();
    const text = await this.run("list");
    const took = performance.now() - started;
    if (text.trim().split("\n").length !== count + 1)
      throw new Error(`list does not show ${count} containers`);
    return took;
  }
}

function say(words: string): void {
  process.stdout.write(`${words}\n`);
}

async function measure(dir: string): Promise<boolean> {
  const state = join(dir, "state");
  const rootfs = makeRootfs(join(dir, "rootfs"));
  const soak = new Soak(state, makeBundle(join(dir, "bundle"), rootfs, ["true"]));
  await soak.cycle("soak-first");
  const before = footprint(dir, state);
  const machineBefore = await settledFootprint();
  const started = performance.now();
  await soak.all(cycles, (id) => soak.cycle(id));
  const seconds = (performance.now() - started) / 1000;
  say(
    `${cycles} cycles, ${atOnce} at a time: ${seconds.toFixed(1)} s, ${((1000 * seconds) / cycles).toFixed(2)} ms each`,
  );

  await soak.all(alive, (id) => soak.create(id));
  const times: number[] = [];
  for (let turn = 0; turn < 10; turn++) times.push(await soak.timeList(alive));
  const { median, min, max } = summarize(times);
  say(`list of ${alive} containers: ${median.toFixed(1)} ms (${min.toFixed(1)} to ${max.toFixed(1)})`);
  await soak.all(alive, (id) => soak.run("delete", "--force", id));

  // The kernel ends the last processes of a pid namespace a moment after delete has seen the first one's end.
  await Bun.sleep(1000);
  const after = footprint(dir, state);
  const machineAfter = await settledFootprint();
  say(`before: ${JSON.stringify({ ours: before, machine: machineBefore })}`);
  say(`after:  ${JSON.stringify({ ours: after, machine: machineAfter })}`);
  const left = leaks(machineBefore, machineAfter, cycles + alive);
  for (const words of left) say(`left on the machine: ${words}`);
  return Bun.deepEquals(before, after) && left.length === 0 && median <= longestListMs;
}

/** A pid namespace whose first process reaps orphans, with its own /proc; and no mount of it reaches the host. */
function enter(): number {
  const again = '"$@"; exit $?';
  const words = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "sh", "-c", again, "sh"];
  const given = [process.execPath, import.meta.path, "--cycles", String(cycles), "--alive", String(alive)];
  const { exitCode } = Bun.spawnSync([...words, ...given], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, [inside]: "1" },
  });
  return exitCode;
}

async function main(): Promise<number> {
  if (process.env[inside] !== "1") return enter();
  const dir = mkdtempSync("/tmp/gantry-soak-");
  try {
    return (await measure(dir)) ? 0 : 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

process.exitCode = await main();
