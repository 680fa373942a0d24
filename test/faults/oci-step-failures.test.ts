/**
 * A failure, and the death of the monitor, at every step of the plan of an OCI bundle.
 * As root: scripts/bun test test/faults/oci-step-failures.test.ts
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import { removeCgroup } from "../../src/runtime/cgroup-engine.ts";
import { encodePlan } from "../../src/runtime/encode-plan.ts";
import type { ContainerPlanInput, ContainerStep, MonitorStep, Plan } from "../../src/runtime/index.ts";
import { planContainer } from "../../src/runtime/plan-container.ts";
import { difference, machineState } from "../lib/leftovers.ts";
import { isAlive, launchBytes } from "../system/native-harness.ts";
import { cgroupLeftovers, cgroups, World } from "../system/runtime-world.ts";

const world = new World();
const program = resolve(import.meta.dir, "../../dist/gantry-oci");
const root = `${world.dir}/state`;
const bundle = `${world.dir}/bundle`;
const cgroupsPath = `${world.prefix}-steps`;
const pidFile = `${world.dir}/pid`;
const fifo = "/fifo";
let before: ReadonlySet<string>;
let input: ContainerPlanInput;

beforeAll(() => {
  mkdirSync(bundle);
  mkdirSync(root);
  const base = world.container(
    { args: ["true"] },
    { resources: { memory: { limit: 64 << 20 }, pids: { limit: 50 } } },
  );
  const config = {
    ...base.config,
    root: { path: world.rootfs, readonly: true },
    linux: { ...base.config.linux, cgroupsPath },
    hooks: {
      createRuntime: [{ path: "/bin/true" }],
      createContainer: [{ path: "/bin/true" }],
      startContainer: [{ path: "/bin/true" }],
    },
  };
  writeFileSync(`${bundle}/config.json`, JSON.stringify(config));
  for (const path of [`${world.dir}/start`, `${world.rootfs}${fifo}`, `${world.dir}${fifo}`])
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  input = {
    config,
    cgroups,
    hooks: { id: "steps", bundle, rootfs: world.rootfs, env: ["PATH=/bin"] },
    startFifo: `${world.dir}/start`,
    pidFile,
  };
  before = machineState();
});

afterAll(() => world.cleanUp());

type Section = "monitor" | "container";

interface Place {
  readonly section: Section;
  readonly at: number;
  readonly name: string;
}

const nameOf = (step: MonitorStep | ContainerStep | undefined): string => step?.do ?? "the end";

/** Before every step; in the monitor also behind the last. */
function places(plan: Plan): readonly Place[] {
  return (["monitor", "container"] as const).flatMap((section) => {
    const steps = plan[section];
    const count = section === "monitor" ? steps.length + 1 : steps.length;
    return Array.from({ length: count }, (_, at) => ({ section, at, name: nameOf(steps[at]) }));
  });
}

/** The plan with one more step at a place, and the index of that step. */
function withStep(
  plan: Plan,
  { section, at }: Place,
  step: MonitorStep & ContainerStep,
): readonly [Plan, number] {
  const changed = { ...plan, [section]: [...plan[section].slice(0, at), step, ...plan[section].slice(at)] };
  const early = section === "monitor" ? 0 : plan.monitor.length + (plan.hooks?.length ?? 0);
  return [changed, early + at];
}

/** Of this test alone: others may run containers meanwhile. Processes are looked for by their pids. */
const ownLeftovers = async (): Promise<readonly string[]> =>
  (await difference(before, 0)).filter((line) => line.includes(world.dir) || line.includes(world.prefix));

const inCgroup = (): boolean => cgroupLeftovers(cgroupsPath).length > 0;

test("a step that fails is named wherever it stands, and nothing is left", async () => {
  const { plan } = planContainer(input);
  const all = places(plan);
  expect(all.length).toBeGreaterThan(50);
  const broken: string[] = [];
  for (const place of all) {
    const [changed, index] = withStep(plan, place, { do: "write-file", path: "/no/such/file", data: "x" });
    const stdio = [
      openSync("/dev/null", "r"),
      openSync("/dev/null", "w"),
      openSync("/dev/null", "w"),
    ] as const;
    const { control, pid } = await launchBytes(encodePlan(changed, { detach: true }), { mode: "run", stdio });
    // Behind wait-start the container has been created; it goes on when somebody reads the fifo.
    const waits = plan.container.findIndex((step) => step.do === "wait-start");
    const late = place.section === "container" && place.at > waits;
    const where = `before ${place.section} step ${place.at}, ${place.name}`;
    if (late) {
      const started = await control.started();
      const told = Bun.spawnSync(["timeout", "10", "cat", `${world.dir}/start`]).stdout.toString();
      if (told !== "033 2 open /no/such/file") broken.push(`${where}: told ${told}`);
      for (let i = 0; i < 200 && isAlive(started.pid); i++) await Bun.sleep(5);
      if (isAlive(started.pid)) broken.push(`${where}: its process lives`);
      // A created container is the state's: delete removes its cgroup. Here nobody does.
      await removeCgroup(cgroups, cgroupsPath);
    } else {
      const failed = await control.failed();
      if (failed.index !== index || failed.errno !== 2 || failed.context !== "open /no/such/file")
        broken.push(`${where}: ${JSON.stringify({ ...failed, index: failed.index - index })}`);
      await control.closed();
      if (inCgroup()) broken.push(`${where}: its cgroup is left`);
      if (existsSync(pidFile)) broken.push(`${where}: its pid file is left`);
    }
    for (const fd of stdio) closeSync(fd);
    for (let i = 0; i < 200 && isAlive(pid); i++) await Bun.sleep(5);
    if (isAlive(pid)) broken.push(`${where}: its monitor lives`);
    rmSync(pidFile, { force: true });
  }
  expect(broken).toEqual([]);
  expect(await ownLeftovers()).toEqual([]);
  expect(readdirSync(root)).toEqual([]);
}, 120_000);

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function oci(...words: string[]): Answer {
  const out = openSync(`${world.dir}/out`, "w");
  const err = openSync(`${world.dir}/err`, "w");
  const ran = Bun.spawnSync([program, "--root", root, ...words], {
    stdin: "ignore",
    stdout: out,
    stderr: err,
    timeout: 20_000,
  });
  closeSync(out);
  closeSync(err);
  return {
    code: ran.exitCode,
    stdout: readFileSync(`${world.dir}/out`, "utf8"),
    stderr: readFileSync(`${world.dir}/err`, "utf8"),
  };
}

/** The process and what it has begun, the deepest first. */
function family(pid: number): readonly number[] {
  const children = readOr(`/proc/${pid}/task/${pid}/children`)
    .split(" ")
    .filter((word) => word !== "");
  return [...children.flatMap((child) => family(Number(child))), pid];
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // ENOENT, ESRCH: the process has just ended.
    return "";
  }
}

/** Until one of the family waits for a reader of the fifo; false when that does not happen. */
async function blocks(pid: number): Promise<boolean> {
  for (let i = 0; i < 400; i++) {
    if (family(pid).some((one) => /fifo|partner/.test(readOr(`/proc/${one}/wchan`)))) return true;
    await Bun.sleep(5);
  }
  return false;
}

async function allGone(pids: readonly number[]): Promise<boolean> {
  for (let i = 0; i < 400 && pids.some(isAlive); i++) await Bun.sleep(5);
  return !pids.some(isAlive);
}

test("killed at any step, a container can be deleted, and nothing is left", async () => {
  // What create leaves of a container before its process exists.
  const dir = `${root}/killed`;
  expect(oci("create", "--bundle", bundle, "killed")).toMatchObject({ code: 0, stderr: "" });
  const files = ["config.json", "state.json"].map(
    (name) => [name, readFileSync(`${dir}/${name}`, "utf8")] as const,
  );
  expect(oci("delete", "--force", "killed")).toMatchObject({ code: 0, stderr: "" });
  const { plan } = planContainer(input);
  const pivot = plan.container.findIndex((step) => step.do === "pivot-root");
  const waits = plan.container.findIndex((step) => step.do === "wait-start");
  const broken: string[] = [];
  for (const place of places(plan)) {
    const inside = place.section === "container" && place.at > pivot;
    const late = place.section === "container" && place.at > waits;
    const path = inside ? fifo : `${world.dir}${fifo}`;
    const [changed] = withStep(plan, place, { do: "write-file", path, data: "x" });
    const where = `before ${place.section} step ${place.at}, ${place.name}`;
    mkdirSync(dir);
    for (const [name, text] of files) writeFileSync(`${dir}/${name}`, text);
    const stdio = [
      openSync("/dev/null", "r"),
      openSync("/dev/null", "w"),
      openSync("/dev/null", "w"),
    ] as const;
    const options = { detach: true, statusPath: `${dir}/process` };
    const { control, pid } = await launchBytes(encodePlan(changed, options), { mode: "run", stdio });
    for (const fd of stdio) closeSync(fd);
    let first = pid;
    let reader: Bun.Subprocess | undefined;
    if (late) {
      // Created: the monitor is gone, and start has let it go on.
      first = (await control.started()).pid;
      reader = Bun.spawn(["timeout", "20", "cat", `${world.dir}/start`], { stdout: "ignore" });
    }
    if (!(await blocks(first))) broken.push(`${where}: does not come that far`);
    const pids = family(first);
    if (!late) process.kill(pid, "SIGKILL");
    const deleted = oci("delete", "--force", "killed");
    if (deleted.code !== 0 || deleted.stderr !== "")
      broken.push(`${where}: delete says ${deleted.code} ${deleted.stderr}`);
    if (!(await allGone(pids))) broken.push(`${where}: a process lives`);
    if (inCgroup()) broken.push(`${where}: its cgroup is left`);
    if (existsSync(dir)) broken.push(`${where}: its state is left`);
    rmSync(dir, { recursive: true, force: true });
    rmSync(pidFile, { force: true });
    reader?.kill();
    await reader?.exited;
    control.channel.close();
  }
  expect(broken).toEqual([]);
  expect(await ownLeftovers()).toEqual([]);
}, 120_000);

test("create killed while a hook runs: the hook, the monitor and the process go with it", async () => {
  const slow = `${world.dir}/slow`;
  const seen = `${world.dir}/seen`;
  mkdirSync(slow);
  const hook = {
    path: "/bin/sh",
    args: ["sh", "-c", `echo $$ > ${seen}.new; mv ${seen}.new ${seen}; exec sleep 60`],
  };
  writeFileSync(`${slow}/config.json`, JSON.stringify({ ...input.config, hooks: { createRuntime: [hook] } }));
  const creating = Bun.spawn([program, "--root", root, "create", "--bundle", slow, "slow"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  for (let i = 0; i < 1000 && !existsSync(seen); i++) await Bun.sleep(5);
  const pids = [...family(creating.pid), Number(readFileSync(seen, "utf8"))];
  expect(pids.length).toBeGreaterThan(3);
  const state = JSON.parse(oci("state", "slow").stdout);
  expect(["creating", "created", "stopped"]).toContain(state.status);
  process.kill(creating.pid, "SIGKILL");
  await creating.exited;
  expect(oci("delete", "--force", "slow")).toMatchObject({ code: 0, stderr: "" });
  expect(await allGone(pids.filter((pid) => pid !== creating.pid))).toBe(true);
  expect(cgroupLeftovers(cgroupsPath)).toEqual([]);
  expect(existsSync(`${root}/slow`)).toBe(false);
  expect(await ownLeftovers()).toEqual([]);
});
