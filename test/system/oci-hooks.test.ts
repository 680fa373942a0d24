/** Hooks of a container on the real kernel. As root: scripts/bun test test/system/oci-hooks.test.ts */
import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { GantryError } from "../../src/lib/index.ts";
import type { ContainerPlanInput, OciHook, OciHooks } from "../../src/runtime/index.ts";
import { isAlive, launch as launchPlan, noSanitizerReports } from "./native-harness.ts";
import { planContainer } from "../../src/runtime/plan-container.ts";
import { cgroupLeftovers, collect, launch, run, World } from "./runtime-world.ts";

const world = new World();
afterAll(() => world.cleanUp());

const early = ["prestart", "createRuntime", "createContainer"] as const;
let count = 0;

type Container = ContainerPlanInput & { readonly dir: string; readonly cgroupsPath: string };

/** A container with these hooks, and its log: a file on the host that is /log inside. */
function withHooks(
  hooks: OciHooks,
  args: readonly string[] = ["true"],
  annotations: Record<string, string> = {},
): Container & { readonly log: string } {
  const log = `${world.dir}/log${count++}`;
  writeFileSync(log, "");
  chmodSync(log, 0o666);
  const input = world.container({ args });
  const mounts = [
    ...(input.config.mounts ?? []),
    { destination: "/log", source: log, type: "bind", options: ["bind"] },
  ];
  const bundle = `${world.dir}/bundle`;
  mkdirSync(bundle, { recursive: true });
  return {
    ...input,
    config: { ...input.config, mounts, hooks, annotations },
    hooks: {
      id: "hooked",
      bundle,
      rootfs: input.overlay?.target ?? "",
      env: ["PATH=/usr/bin:/bin", "OWN=1"],
    },
    log,
  };
}

const shell = (script: string, more: Partial<OciHook> = {}): OciHook => ({
  path: "/bin/sh",
  args: ["sh", "-c", script],
  ...more,
});

/** A line for `log`: kind, where it is, and its namespaces; then the state. */
const witness = (kind: string, log: string): OciHook =>
  shell(
    `echo "${kind} $PWD $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net) $(readlink /proc/self/ns/pid) $(cat)" >> ${log}`,
  );

async function failure(input: ContainerPlanInput): Promise<GantryError> {
  try {
    const { control } = await launch(input);
    control.close();
  } catch (error) {
    if (error instanceof GantryError) return error;
    throw error;
  }
  throw new Error("it started");
}

test("each kind runs once, in order, in its namespaces and directory, with the state on stdin", async () => {
  const input = withHooks({}, ["sh", "-c", "echo program >> /log"], { key: "välue" });
  const hooks = {
    ...Object.fromEntries(early.map((kind) => [kind, [witness(kind, input.log)]])),
    startContainer: [witness("startContainer", "/log")],
  };
  const { exited } = await run({ ...input, config: { ...input.config, hooks } });
  expect(exited?.exitCode).toBe(0);
  const lines = readFileSync(input.log, "utf8").trim().split("\n");
  expect(lines.map((line) => line.split(" ")[0])).toEqual([...early, "startContainer", "program"]);
  const seen = lines.slice(0, 4).map((line) => {
    const [, cwd, mnt, net, pid, ...state] = line.split(" ");
    return { cwd, mnt, net, pid, state: JSON.parse(state.join(" ")) };
  });
  const own = {
    mnt: readlinkSync("/proc/self/ns/mnt"),
    net: readlinkSync("/proc/self/ns/net"),
    pid: readlinkSync("/proc/self/ns/pid"),
  };
  const state = {
    ociVersion: "1.3.0",
    id: "hooked",
    bundle: input.hooks?.bundle,
    annotations: { key: "välue" },
  };
  const [prestart, createRuntime, createContainer, startContainer] = seen;
  expect(prestart).toMatchObject({
    ...own,
    cwd: input.hooks?.bundle,
    state: { ...state, status: "creating" },
  });
  expect(prestart?.state.pid).toBeGreaterThan(1);
  expect(createRuntime).toEqual(prestart);
  expect(createContainer).toMatchObject({
    cwd: input.overlay?.target,
    state: { ...state, status: "creating", pid: 1 },
  });
  expect(startContainer).toMatchObject({ cwd: "/", state: { ...state, status: "created", pid: 1 } });
  for (const one of [createContainer, startContainer])
    for (const kind of ["mnt", "net"] as const) expect(one?.[kind]).not.toBe(own[kind]);
  expect(startContainer?.mnt).toBe(createContainer?.mnt ?? "");
});

test("createRuntime sees the container's process with its mounts made, and can change its namespaces", async () => {
  const input = withHooks({}, ["sh", "-c", "hostname; cat /tmp/given"]);
  const hook = shell(
    `pid=$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/'); nsenter -t $pid -u hostname hooked && nsenter -t $pid -m sh -c 'test -e ${input.overlay?.target}/proc/1 && echo hi > ${input.overlay?.target}/tmp/given'`,
  );
  const ran = await run({ ...input, config: { ...input.config, hooks: { createRuntime: [hook] } } });
  expect(ran.stdout).toBe("hooked\nhi\n");
});

test("a hook has fds 0 to 2, default signals, no pending children and the environment it was given", async () => {
  const input = withHooks({});
  const script = `{ ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Blk|Ign)' /proc/self/status | tr '\\n\\t' '  '; umask; env | sort | tr '\\n' ' '; echo; } >> ${input.log}`;
  const hooks = { prestart: [shell(script)], createContainer: [shell(script, { env: ["A=b c"] })] };
  const { exited } = await run({ ...input, config: { ...input.config, hooks } });
  expect(exited?.exitCode).toBe(0);
  const [first = "", firstEnv, second = "", secondEnv] = readFileSync(input.log, "utf8").split("\n");
  for (const line of [first, second])
    expect(line).toBe("0 1 2 3 SigBlk: 0000000000000000 SigIgn: 0000000000000000 0022");
  expect(firstEnv).toContain("OWN=1 PATH=/usr/bin:/bin ");
  expect(secondEnv).toContain("A=b c ");
  expect(secondEnv).not.toContain("OWN=1");
});

test("a startContainer hook without an environment has the program's", async () => {
  const input = withHooks({ startContainer: [shell('echo "$ONE" > /log')] });
  const process = { ...input.config.process, cwd: "/", args: ["true"], env: ["PATH=/bin", "ONE=two"] };
  await run({ ...input, config: { ...input.config, process } });
  expect(readFileSync(input.log, "utf8")).toBe("two\n");
});

test.each([...early, "startContainer"] as const)(
  "a failing %s hook is named, stops the start and leaves nothing",
  async (kind) => {
    const input = withHooks({}, ["sh", "-c", "echo program >> /log"]);
    const hooks = {
      [kind]: [{ path: "/bin/true" }, shell("echo out; echo broken >&2; exit 3"), { path: "/bin/true" }],
    };
    const error = await failure({ ...input, config: { ...input.config, hooks } });
    expect(error.message).toBe(`error running ${kind} hook #1: /bin/sh: exit status 3: out; broken`);
    expect(error.code).toBe("canceled");
    expect(readFileSync(input.log, "utf8")).toBe("");
    expect(cgroupLeftovers(input.cgroupsPath)).toEqual([]);
  },
);

test.each([...early, "startContainer"] as const)("a %s hook that does not exist", async (kind) => {
  const input = withHooks({ [kind]: [{ path: "/no/such" }] });
  const error = await failure(input);
  expect(error.message).toBe(
    `error running ${kind} hook #0: /no/such: cannot be executed: no such file or directory`,
  );
  expect(cgroupLeftovers(input.cgroupsPath)).toEqual([]);
});

test.each([...early, "startContainer"] as const)(
  "a %s hook that takes too long is killed with what it started",
  async (kind) => {
    const input = withHooks({});
    const to = kind === "startContainer" ? "/log" : input.log;
    const hooks = { [kind]: [shell(`sleep 60 & echo $! > ${to}; echo waiting; wait`, { timeout: 1 })] };
    const begun = performance.now();
    const error = await failure({ ...input, config: { ...input.config, hooks } });
    expect(error.message).toBe(
      `error running ${kind} hook #0: /bin/sh: hook ran past specified timeout of 1s: waiting`,
    );
    expect(error.code).toBe("timeout");
    expect(performance.now() - begun).toBeLessThan(5000);
    // The container's own numbers say nothing outside.
    if (kind === "prestart" || kind === "createRuntime")
      expect(isAlive(Number(readFileSync(input.log, "utf8")))).toBe(false);
  },
);

test("a hook killed by a signal", async () => {
  const error = await failure(withHooks({ createRuntime: [shell("kill -9 $$")] }));
  expect(error.message).toBe("error running createRuntime hook #0: /bin/sh: signal: killed");
});

test("a state longer than a pipe, output longer than is kept, and a hook that reads nothing", async () => {
  const annotations = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`key${i}`, "x".repeat(1000)]),
  );
  const input = withHooks({}, ["true"], annotations);
  const hooks = {
    prestart: [{ path: "/bin/true" }, shell(`wc -c >> ${input.log}`)],
    createContainer: [shell("seq 100000; exit 1")],
  };
  const error = await failure({ ...input, config: { ...input.config, hooks } });
  expect(Number(readFileSync(input.log, "utf8"))).toBeGreaterThan(300_000);
  expect(error.message).toEndWith("; 99999; 100000");
  expect(error.message.length).toBeLessThan(700);
});

test("a process that a hook leaves in the background with its output open is not waited for", async () => {
  const input = withHooks({});
  const hooks = { createRuntime: [shell(`sleep 30 & echo $! > ${input.log}`)] };
  const begun = performance.now();
  const { exited } = await run({ ...input, config: { ...input.config, hooks } });
  expect(exited?.exitCode).toBe(0);
  expect(performance.now() - begun).toBeLessThan(10_000);
  process.kill(Number(readFileSync(input.log, "utf8")), "SIGKILL");
});

test("a hook dies with its monitor, and the container's process, too", async () => {
  const input = withHooks({});
  const hooks = { createRuntime: [shell(`echo $$ $PPID > ${input.log}; exec sleep 60`)] };
  const starting = failure({ ...input, config: { ...input.config, hooks } });
  let pids: number[] = [];
  for (let i = 0; i < 500 && pids.length < 2; i++) {
    await Bun.sleep(10);
    pids = readFileSync(input.log, "utf8")
      .split(" ")
      .filter((word) => word.trim() !== "")
      .map(Number);
  }
  const [hook = 0, monitor = 0] = pids;
  expect(monitor).toBeGreaterThan(1);
  process.kill(monitor, "SIGKILL");
  expect((await starting).code).not.toBe("timeout");
  for (let i = 0; i < 100 && isAlive(hook); i++) await Bun.sleep(10);
  expect(isAlive(hook)).toBe(false);
});

test("what fails after start is told through the fifo", async () => {
  const fifo = `${world.dir}/fifo`;
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  const input = withHooks({ startContainer: [shell("exit 4")] });
  const { control, session } = await launch({ ...input, startFifo: fifo });
  const ended = collect(session);
  const told = Bun.spawnSync(["timeout", "10", "cat", fifo]).stdout.toString();
  expect(told).toBe("0131 5 startContainer hook #0: /bin/sh: exit status 4");
  expect((await ended).exited?.exitCode).toBe(127);
  control.close();
  rmSync(fifo);
});

test("after start nothing comes through the fifo when the program runs", async () => {
  const fifo = `${world.dir}/fifo`;
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  const input = withHooks({ startContainer: [shell("echo hook >> /log")] }, [
    "sh",
    "-c",
    "sleep 1; echo program >> /log",
  ]);
  const { control, session } = await launch({ ...input, startFifo: fifo });
  const ended = collect(session);
  expect(readFileSync(input.log, "utf8")).toBe("");
  const told = Bun.spawnSync(["timeout", "10", "cat", fifo]).stdout.toString();
  expect(told).toBe("0");
  expect(readFileSync(input.log, "utf8")).toBe("hook\n");
  expect((await ended).exited?.exitCode).toBe(0);
  expect(readFileSync(input.log, "utf8")).toBe("hook\nprogram\n");
  control.close();
  expect(existsSync(fifo)).toBe(true);
  rmSync(fifo);
});

test.each([
  ["exit 0", undefined],
  ["seq 3000; exit 3", 5],
  ["sleep 9", 110],
] as const)("under sanitizers: hooks that say %s", async (script, errno) => {
  const input = withHooks({});
  const bad = shell(script, { timeout: 1 });
  for (const kind of early) {
    const hooks = { [kind]: [{ path: "/bin/true" }, bad] };
    const { plan } = planContainer({ ...input, config: { ...input.config, hooks } });
    const { control } = await launchPlan(plan, { program: "asan", options: { noLogRelay: true } });
    if (errno === undefined) expect((await control.exited()).exitCode).toBe(0);
    else expect(await control.failed()).toMatchObject({ errno });
    await control.closed();
  }
  noSanitizerReports();
});
