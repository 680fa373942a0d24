/**
 * `make soak`: containers of one engine come and go, create, start, exec, stop, remove, eight at a time. Afterwards its memory, open
 * files, mounts, control groups, database and directories are what they were after the first tenth. Words: `--cycles N`.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { TestEngine } from "../lib/engine.ts";
import { difference, machineState } from "../lib/leftovers.ts";

const { values } = parseArgs({ options: { cycles: { type: "string", default: "20000" } } });
const cycles = Number(values.cycles);
const atOnce = 8;

interface Footprint {
  readonly rssMb: number;
  readonly openFiles: number;
  readonly mounts: number;
  readonly cgroups: number;
  readonly databaseMb: number;
  /** Files and directories below root and state. */
  readonly files: number;
}

/** What may be more after all cycles than after a tenth of them: a heap breathes, a leak of a kilobyte a cycle does not fit. */
const slack: Footprint = { rssMb: 15, openFiles: 8, mounts: 0, cgroups: 0, databaseMb: 4, files: 20 };

function footprint(engine: TestEngine): Footprint {
  const proc = `/proc/${engine.pid}`;
  return {
    rssMb: Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`${proc}/status`, "utf8"))?.[1] ?? 0) / 1024,
    openFiles: readdirSync(`${proc}/fd`).length,
    mounts: readFileSync(`${proc}/mountinfo`, "utf8").split("\n").length,
    cgroups: cgroupsOf(engine),
    databaseMb: statSync(join(engine.dir, "lib/gantry.db")).size / (1 << 20),
    files: countFiles(engine.dir),
  };
}

/** Of this engine, in every hierarchy. */
function cgroupsOf({ pid }: TestEngine): number {
  const own = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  return (
    own.trim().split("\n").length + [...machineState()].filter((line) => line.startsWith("cgroup")).length
  );
}

function countFiles(directory: string): number {
  return readdirSync(directory, { recursive: true }).length;
}

async function run(engine: TestEngine, from: number, to: number): Promise<void> {
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to) await cycle(engine, next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function call(engine: TestEngine, method: string, path: string, json?: object): Promise<Response> {
  const answer = await fetch(`http://engine${path}`, {
    method,
    unix: engine.socket,
    headers: { "Content-Type": "application/json" },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function cycle(engine: TestEngine, number: number): Promise<void> {
  const name = `cycle-${number}`;
  const created = await call(engine, "POST", `/containers/create?name=${name}`, {
    Image: "busybox",
    Cmd: ["sleep", "100000"],
    StopSignal: "SIGKILL",
  });
  const { Id } = (await created.json()) as { Id: string };
  await (await call(engine, "POST", `/containers/${Id}/start`)).text();
  const exec = await call(engine, "POST", `/containers/${Id}/exec`, {
    AttachStdout: true,
    Cmd: ["echo", name],
  });
  const { Id: execId } = (await exec.json()) as { Id: string };
  const output = await (
    await call(engine, "POST", `/exec/${execId}/start`, { Detach: false, Tty: false })
  ).text();
  if (!output.includes(name)) throw new Error(`exec in ${name} printed ${JSON.stringify(output)}`);
  await (await call(engine, "POST", `/containers/${Id}/stop`)).text();
  await (await call(engine, "DELETE", `/containers/${Id}?v=1`)).text();
}

const before = machineState();
const engine = new TestEngine("cycles");
await engine.start();
const grown: string[] = [];
try {
  engine.ok("image", "bootstrap", "-q", "busybox");
  const tenth = Math.ceil(cycles / 10);
  await run(engine, 0, tenth);
  await Bun.sleep(2000);
  const early = footprint(engine);
  console.log(`after ${tenth}: ${JSON.stringify(early)}`);
  const from = performance.now();
  await run(engine, tenth, cycles);
  console.log(`${((cycles - tenth) / ((performance.now() - from) / 1000)).toFixed(0)} cycles per s`);
  await Bun.sleep(2000);
  const late = footprint(engine);
  console.log(`after ${cycles}: ${JSON.stringify(late)}`);
  for (const key of Object.keys(slack) as (keyof Footprint)[])
    if (late[key] > early[key] + slack[key]) grown.push(`${key} from ${early[key]} to ${late[key]}`);
} finally {
  await engine.uninstall();
}
grown.push(...(await difference(before, 30_000)).map((line) => `left behind: ${line}`));
console.log(grown.length === 0 ? "nothing grew" : `grown: ${grown.join("; ")}`);
process.exitCode = grown.length === 0 ? 0 : 1;
