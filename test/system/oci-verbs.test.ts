/**
 * gantry-oci's commands that look at and change containers, beside runc where the same is expected.
 * As root: scripts/bun test test/system/oci-verbs.test.ts
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type BundleChange, OciBundles, parseMountInfo, runBounded } from "../lib/oci-bundle.ts";
import { ociRuntime, type Ran, until } from "../lib/oci-world.ts";

setDefaultTimeout(60_000);

const bundles = new OciBundles("verbs");
const runcIds: string[] = [];
const oci = (...words: string[]): Ran => bundles.runtime(...words);
const runcCommand = (...words: string[]): string[] => ["runc", "--root", `${bundles.dir}/runc`, ...words];
const runc = (...words: string[]): Ran => runBounded(runcCommand(...words));
const oneHierarchy = existsSync("/sys/fs/cgroup/cgroup.controllers");

/** One container of each runtime, which sleep. */
let ours: { readonly id: string; readonly dir: string };
let theirs: { readonly id: string; readonly dir: string };

function startTheirs(change: BundleChange): { readonly id: string; readonly dir: string } {
  const made = bundles.bundle({ args: ["sleep", "1000"], ...change });
  runcIds.push(made.id);
  const script = '"$@" > "$0" 2>&1 < /dev/null; code=$?; cat "$0"; exit $code';
  const ran = runBounded([
    "sh",
    "-c",
    script,
    `${made.dir}/out`,
    ...runcCommand("run", "-d", "-b", made.dir, made.id),
  ]);
  expect(ran).toMatchObject({ code: 0, out: "" });
  return made;
}

function startOurs(change: BundleChange = {}): { readonly id: string; readonly dir: string } {
  const { id, dir, ran } = bundles.start(change);
  expect(ran).toMatchObject({ code: 0, out: "" });
  return { id, dir };
}

beforeAll(() => {
  ours = startOurs();
  theirs = startTheirs({});
});

afterAll(() => {
  for (const id of runcIds) runc("delete", "--force", id);
  bundles.cleanUp();
});

/** What differs between two containers of the same kind, as words. */
function plain(text: string, made: { readonly id: string; readonly dir: string }, pid: number): string {
  return text
    .replaceAll(made.dir, "BUNDLE")
    .replaceAll(made.id, "ID")
    .replaceAll(String(pid), "PID")
    .replace(/"rootfs":( ?)"[^"]*"/g, '"rootfs":$1"ROOT"')
    .replace(/"ociVersion":( ?)"[^"]*"/g, '"ociVersion":$1"OWN"')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
}

const stateOf = (ran: Ran): { readonly status: string; readonly pid: number } => JSON.parse(ran.out);

test("state, list as table and JSON, list -q, ps as JSON: as runc prints them", () => {
  const ourPid = stateOf(oci("state", ours.id)).pid;
  const theirPid = stateOf(runc("state", theirs.id)).pid;
  for (const words of [
    ["state", "ID"],
    ["list", "-f", "json"],
    ["list", "-q"],
    ["ps", "-f", "json", "ID"],
  ]) {
    const run = (made: typeof ours, verb: (...given: string[]) => Ran): Ran =>
      verb(...words.map((word) => (word === "ID" ? made.id : word)));
    const mine = run(ours, oci);
    const other = run(theirs, runc);
    expect(mine.err).toBe("");
    expect(plain(mine.out, ours, ourPid).trimEnd()).toBe(plain(other.out, theirs, theirPid).trimEnd());
  }
  const columns = (ran: Ran): unknown => ran.out.split("\n").map((line) => line.split(/ {2,}/).length);
  expect(columns(oci("list"))).toEqual(columns(runc("list")));
  expect(oci("list").out.split("\n")[0]?.split(/ {2,}/)).toEqual([
    "ID",
    "PID",
    "STATUS",
    "BUNDLE",
    "CREATED",
    "OWNER",
  ]);
});

test("ps passes options on and shows the container's rows", () => {
  const { pid } = stateOf(oci("state", ours.id));
  expect(oci("ps", ours.id).out.split("\n")[0]).toBe(runc("ps", theirs.id).out.split("\n")[0] ?? "");
  expect(oci("ps", ours.id, "-o", "pid,args").out).toMatch(
    new RegExp(`^ *PID COMMAND\n *${pid} sleep 1000\n$`),
  );
  for (const [words, why] of [
    [["-o", "user"], "couldn't find PID field in ps output"],
    [["--nope"], "exit status 1: error: unknown gnu long option"],
  ] as const)
    expect(oci("ps", ours.id, ...words)).toMatchObject({ code: 1, err: expect.stringContaining(why) });
});

test("without a program ps its table is made from /proc; options are then refused", () => {
  const bare = (...words: string[]): Ran =>
    runBounded([...bundles.command("ps", ...words)], { PATH: "/nowhere" });
  const { pid } = stateOf(oci("state", ours.id));
  expect(bare(ours.id).out).toMatch(
    new RegExp(`^UID +PID +PPID +STAT +TIME CMD\nroot +${pid} +\\d+ S +00:00:00 sleep 1000\n$`),
  );
  expect(bare(ours.id, "-o", "pid")).toMatchObject({
    code: 1,
    err: expect.stringContaining("has no program ps"),
  });
});

test("pause and resume: states and words of runc", () => {
  const both = (...words: string[]): readonly [Ran, Ran] => [
    oci(...words, ours.id),
    runc(...words, theirs.id),
  ];
  for (const [verb, status] of [
    ["resume", "running"],
    ["pause", "paused"],
    ["pause", "paused"],
    ["resume", "running"],
  ] as const) {
    const [mine, other] = both(verb);
    expect([verb, mine.code]).toEqual([verb, other.code]);
    const why = /msg="(.*)"/.exec(other.err)?.[1];
    if (why !== undefined) expect(mine.err.split("\n")[0]).toBe(why);
    expect(stateOf(oci("state", ours.id)).status).toBe(status);
  }
});

test("events --stats: every field that runc prints, of the same kind", () => {
  const stats = (ran: Ran): { readonly data: Record<string, Record<string, unknown>> } => JSON.parse(ran.out);
  const mine = oci("events", "--stats", ours.id);
  expect(mine.out).toStartWith(`{"type":"stats","id":"${ours.id}","data":{"cpu":{"usage":{"total":`);
  const other = stats(runc("events", "--stats", theirs.id)).data;
  const own = stats(mine).data;
  expect(Object.keys(own)).toEqual(Object.keys(other));
  const shape = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shape).slice(0, 1)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
        : typeof value;
  for (const part of ["cpu", "pids", "memory"]) {
    const left = shape(own[part]) as Record<string, unknown>;
    // Figures of 0 are left out, by either.
    for (const key of Object.keys(shape(other[part]) as Record<string, unknown>))
      if (key !== "cache")
        expect({ part, [key]: Object.keys(left).includes(key) }).toEqual({ part, [key]: true });
    expect(left).toBeDefined();
  }
  if (!oneHierarchy) expect(mine.out).toContain('"limit":9223372036854771712');
});

test("events: one line an interval until the container ends; an out-of-memory kill is told", async () => {
  const { id } = startOurs({
    linux: { resources: { memory: { limit: 16 << 20 } } },
    args: [
      "sh",
      "-c",
      "while [ ! -e /tmp/eat ]; do sleep 0.05; done; (awk 'BEGIN{x=\"x\"; while(1) x=x x}'); touch /tmp/eaten; sleep 1000",
    ],
  });
  const { pid } = stateOf(oci("state", id));
  const child = Bun.spawn([...bundles.command("events", "--interval", "100ms", id)], { stdout: "pipe" });
  let text = "";
  const reading = (async () => {
    for await (const chunk of child.stdout) text += new TextDecoder().decode(chunk);
  })();
  await until(() => text.includes('"type":"stats"'), "a first line of statistics");
  writeFileSync(`/proc/${pid}/root/tmp/eat`, "");
  await until(() => text.includes(`{"type":"oom","id":"${id}"}\n`), "news of the kill");
  expect(oci("kill", id, "KILL").code).toBe(0);
  await reading;
  expect(await child.exited).toBe(0);
  for (const line of text.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ id });
});

test("events: what is asked wrongly", () => {
  expect(oci("events", "--interval", "0s", ours.id)).toMatchObject({
    code: 1,
    err: expect.stringContaining("duration interval must be greater than 0"),
  });
  expect(oci("events", "--interval", "x", ours.id).err).toContain(
    'invalid value "x" for flag -interval: parse error',
  );
});

/** The text of a file of the container's cgroup. */
const control = (id: string, controller: string, file: string): string =>
  readFileSync(`/sys/fs/cgroup/${oneHierarchy ? "" : `${controller}/`}${id}/${file}`, "utf8").trim();

const filesV1 = [
  ["memory", "memory.limit_in_bytes"],
  ["memory", "memory.memsw.limit_in_bytes"],
  ["memory", "memory.soft_limit_in_bytes"],
  ["cpu", "cpu.shares"],
  ["cpu", "cpu.cfs_quota_us"],
  ["cpu", "cpu.cfs_period_us"],
  ["cpu", "cpu.idle"],
  ["pids", "pids.max"],
] as const;
const filesV2 = ["memory.max", "memory.swap.max", "memory.low", "cpu.weight", "cpu.max", "pids.max"].map(
  (file) => ["", file] as const,
);
const limitFiles = oneHierarchy ? filesV2 : filesV1;
const limitsOf = (id: string): Record<string, string> =>
  Object.fromEntries(limitFiles.map(([controller, file]) => [file, control(id, controller, file)]));

const updates: readonly (readonly string[])[] = [
  ["--memory", "67108864"],
  ["--memory", "50M"],
  ["--memory-reservation", "33554432"],
  ["--memory", "30M", "--memory-swap", "50M"],
  ["--memory", "60M", "--memory-swap", "80M"],
  ["--memory", "20M", "--memory-swap", "30M"],
  ["--memory", "-1", "--memory-swap", "-1"],
  ["--memory", "64M"],
  ["--memory", "-1"],
  ["--cpu-share", "200"],
  ["--cpu-period", "900000", "--cpu-quota", "600000"],
  ["--cpu-quota", "500000"],
  ["--cpu-period", "1000000"],
  ["--cpu-quota", "-1"],
  ["--cpu-quota", "-1", "--cpu-period", "100000"],
  ["--pids-limit", "10"],
  ["--pids-limit", "-1"],
  ["--kernel-memory", "50M"],
];
for (const words of updates)
  test(`update ${words.join(" ")}: the same in the kernel as with runc`, () => {
    expect(oci("update", ...words, ours.id)).toMatchObject({ code: 0, out: "" });
    expect(runc("update", ...words, theirs.id)).toMatchObject({ code: 0, out: "" });
    expect(limitsOf(ours.id)).toEqual(limitsOf(theirs.id));
  });

test("update: what Debian's runc does not know yet, a file, stdin, a further hierarchy; all of it is kept", () => {
  const { id } = startOurs({ linux: { resources: { cpu: { quota: 500_000, period: 1_000_000 } } } });
  expect(oci("update", "--cpu-burst", "1000", id).code).toBe(0);
  expect(oci("update", "--cpu-idle", "1", id).code).toBe(0);
  expect(control(id, "cpu", "cpu.idle")).toBe("1");
  const file = `${bundles.dir}/resources.json`;
  writeFileSync(
    file,
    JSON.stringify({ memory: { limit: 33_554_432, reservation: 25_165_824 }, CPU: { cpus: "0" } }),
  );
  expect(oci("update", "-r", file, "--pids-limit", "5", id).code).toBe(0);
  expect(control(id, "memory", oneHierarchy ? "memory.max" : "memory.limit_in_bytes")).toBe("33554432");
  expect(control(id, "cpuset", "cpuset.cpus")).toBe("0");
  const { pid } = stateOf(oci("state", id));
  expect(readFileSync(`/proc/${pid}/status`, "utf8")).toContain("Cpus_allowed_list:\t0\n");
  // With a file other flags count for nothing, as with runc.
  expect(control(id, "pids", "pids.max")).toBe("max");
  const piped = Bun.spawnSync([...bundles.command("update", "-r", "-", id)], {
    stdin: new TextEncoder().encode('{"pids": {"limit": 20}}'),
  });
  expect(piped.exitCode).toBe(0);
  expect(control(id, "pids", "pids.max")).toBe("20");
  const kept = JSON.parse(readFileSync(`${bundles.dir}/state/${id}/config.json`, "utf8")).linux.resources;
  expect(kept).toMatchObject({
    memory: { limit: 33_554_432, reservation: 25_165_824 },
    cpu: { cpus: "0", quota: 500_000, period: 1_000_000, burst: 1000, idle: 1 },
    pids: { limit: 20 },
  });
  expect(oci("delete", "--force", id).code).toBe(0);
  for (const hierarchy of readdirSync("/sys/fs/cgroup"))
    expect(existsSync(`/sys/fs/cgroup/${hierarchy}/${id}`)).toBe(false);
});

test("update of a paused container leaves it paused", () => {
  const { id } = startOurs();
  oci("pause", id);
  expect(oci("update", "--pids-limit", "30", id).code).toBe(0);
  expect(stateOf(oci("state", id)).status).toBe("paused");
  oci("resume", id);
});

test("update: bad input changes nothing and says which word is wrong", () => {
  const { id } = startOurs({ linux: { resources: { memory: { limit: 64 << 20 }, pids: { limit: 20 } } } });
  const before = limitsOf(id);
  const file = `${bundles.dir}/bad.json`;
  const refuse = (why: string, ...words: string[]): void => {
    const ran = oci("update", ...words, id);
    expect([words, ran.code]).toEqual([words, 1]);
    expect(ran.err).toContain(why);
    expect(limitsOf(id)).toEqual(before);
  };
  refuse("invalid value for memory: invalid size: 'abc'", "--memory", "abc");
  refuse("invalid value for cpu-share", "--cpu-share", "x", "--pids-limit", "5");
  refuse('invalid value "x" for flag -pids-limit: parse error', "--pids-limit", "x");
  refuse("linux.resources.memory.swap", "--memory", "50M", "--memory-swap", "20M", "--pids-limit", "5");
  refuse("linux.resources.cpu.idle", "--pids-limit", "5", "--cpu-idle", "2");
  refuse("Intel RDT/CAT: l3 cache schema is not enabled", "--l3-cache-schema", "L3:0=f", "--pids-limit", "5");
  refuse("Intel RDT/MBA: memory bandwidth schema is not enabled", "--mem-bw-schema", "MB:0=10");
  refuse("no such file", "-r", "/nope");
  writeFileSync(file, "{");
  refuse("is not valid JSON", "-r", file);
  writeFileSync(file, '{"memory": 5, "pids": {"limit": "x"}}');
  refuse("memory: must be an object", "-r", file);
  // The kernel refuses the last of three: the first two are taken back.
  refuse("cpuset.cpus", "--memory", "32M", "--pids-limit", "9", "--cpuset-cpus", "4095");
  expect(existsSync(`/sys/fs/cgroup/cpuset/${id}`)).toBe(false);
  oci("kill", id, "KILL");
  expect(oci("update", "--memory", "5M", "nobody")).toMatchObject({
    code: 1,
    err: expect.stringContaining("container does not exist"),
  });
});

test("features: a document of the runtime-spec that names all that runc's names", () => {
  const mine = JSON.parse(oci("features").out);
  const other = JSON.parse(runc("features").out);
  expect(mine.hooks).toEqual(other.hooks);
  for (const part of ["namespaces", "capabilities"])
    expect(mine.linux[part]).toEqual(expect.arrayContaining(other.linux[part]));
  for (const part of ["actions", "operators", "archs"])
    expect(mine.linux.seccomp[part]).toEqual(expect.arrayContaining(other.linux.seccomp[part]));
  // Of ext file systems, not of mounts: they go to the file system as they are.
  const known = other.mountOptions.filter((option: string) => option !== "acl" && option !== "noacl");
  expect(mine.mountOptions).toEqual(expect.arrayContaining(known));
});

test("spec: runc's, but for the name and what later versions of runc left out; with --rootless, too", () => {
  for (const words of [[], ["--rootless"]]) {
    const dirs = ["own", "other"].map((name) => `${bundles.dir}/spec-${name}${words.length}`);
    const [own = "", other = ""] = dirs;
    for (const dir of dirs) mkdirSync(dir);
    expect(oci("spec", "--bundle", own, ...words)).toEqual({ code: 0, out: "", err: "" });
    expect(runc("spec", "--bundle", other, ...words).code).toBe(0);
    const written = readFileSync(`${own}/config.json`, "utf8");
    const expected = readFileSync(`${other}/config.json`, "utf8");
    expect(written).toBe(`${JSON.stringify(JSON.parse(written), undefined, "\t")}`);
    const config = JSON.parse(expected);
    delete config.process.capabilities.ambient;
    expect(JSON.parse(written)).toEqual({ ...config, ociVersion: "1.3.0", hostname: "gantry" });
    expect(oci("validate", "--bundle", own)).toEqual({ code: 0, out: "", err: "" });
    expect(oci("spec", "--bundle", own)).toMatchObject({
      code: 1,
      err: expect.stringContaining("File config.json exists. Remove it first"),
    });
  }
  expect(oci("spec", "--bundle", `${bundles.dir}/nowhere`)).toMatchObject({
    code: 1,
    err: expect.stringContaining("chdir"),
  });
});

test("validate and plan do nothing; plan shows three sections, also of a process that would join", () => {
  const { dir, id } = bundles.bundle({ args: ["true"] });
  const text = oci("plan", "--bundle", dir, id).out;
  for (const title of ["On the host:", "In the container:", "After its end:"]) expect(text).toContain(title);
  expect(text).toContain("[process.args]");
  const json = JSON.parse(oci("plan", "--bundle", dir, "--format", "json", id).out);
  expect(json.container.at(-1)).toMatchObject({ do: "exec", argv: ["true"], explanation: "Run true." });
  const file = `${bundles.dir}/process.json`;
  writeFileSync(file, JSON.stringify({ args: ["id"], cwd: "/", user: { uid: 7, gid: 8 } }));
  const joining = oci("plan", "--process", file, ours.id).out;
  expect(joining).toContain(`of process ${stateOf(oci("state", ours.id)).pid}`);
  expect(joining).toContain("Become user 7, group 8.");
  writeFileSync(
    `${dir}/config.json`,
    JSON.stringify({ ociVersion: "1.0.0", hostname: 5, process: { cwd: "x", args: ["true"] } }),
  );
  const found = oci("validate", "--bundle", dir);
  expect(found.code).toBe(1);
  expect(found.out).toContain("process.cwd: must be an absolute path\n");
  const findings = JSON.parse(oci("validate", "--bundle", dir, "-f", "json").out);
  expect(findings).toMatchObject({ valid: false });
  expect(findings.findings.map(({ path }: { readonly path: string }) => path)).toContain("process.cwd");
  expect(existsSync(`${bundles.dir}/state/${id}`)).toBe(false);
});

test("explain: what was asked of the kernel, and what is there now", () => {
  const { pid } = stateOf(oci("state", ours.id));
  const text = oci("explain", ours.id).out;
  expect(text).toStartWith(`Container ${ours.id} is running, first process ${pid}, 1 in all, `);
  expect(text).toContain("Run sleep 1000.  [process.args]");
  const { present, plan } = JSON.parse(oci("explain", "--format", "json", ours.id).out);
  expect(present.namespaces.user).toEndWith("(the host's)");
  expect(present.mounts).toBe(parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8")).length);
  expect(Object.values(present.cgroups)).toContain(`/${ours.id}`);
  expect(Object.keys(plan)).toEqual(expect.arrayContaining(["monitor", "container", "teardown"]));
});

test("list of a --root that is not there is an error, as with later versions of runc", () => {
  const ran = runBounded([ociRuntime, "--root", `${bundles.dir}/nowhere`, "list"]);
  expect(ran).toMatchObject({ code: 1, err: expect.stringContaining("no such file or directory") });
});

const needsContainer = ["ps", "pause", "resume", "update", "events", "checkpoint", "explain"];

test.each(needsContainer)("%s of nobody: runc's words and exit code", (verb) => {
  expect(oci(verb, "nobody")).toMatchObject({ code: 1, err: "container does not exist\n" });
  expect(oci(verb)).toMatchObject({ code: 1, err: expect.stringMatching(new RegExp(`"${verb}" requires`)) });
});

test("what has stopped", () => {
  const { id } = startOurs({ args: ["true"] });
  for (let i = 0; i < 200 && stateOf(oci("state", id)).status !== "stopped"; i++) Bun.sleepSync(10);
  expect(oci("pause", id)).toMatchObject({ code: 1, err: expect.stringContaining("container not running") });
  expect(oci("resume", id)).toMatchObject({ code: 1, err: expect.stringContaining("container not paused") });
  expect(oci("update", "--memory", "5M", id)).toMatchObject({ code: 1, err: "container not running\n" });
  expect(oci("events", "--stats", id)).toMatchObject({
    code: 1,
    err: `container with id ${id} is not running\n`,
  });
  expect(oci("checkpoint", id)).toMatchObject({
    code: 1,
    err: "Container cannot be checkpointed in stopped state\n",
  });
  expect(oci("ps", "-f", "json", id)).toEqual({ code: 0, out: "null\n", err: "" });
  expect(oci("list").out).toMatch(new RegExp(`^${id} +0 +stopped `, "m"));
  expect(oci("explain", id).out).toStartWith(`Container ${id} is stopped.\n`);
});

test("state: a program of the name gantry-init runs, also where a killed start has left its fifo", async () => {
  const root = bundles.rootfs();
  // The kernel names a process after its script.
  writeFileSync(`${root}/bin/gantry-init`, "#!/bin/sh\nwhile :; do sleep 1; done\n", { mode: 0o755 });
  const { id } = startOurs({ args: ["/bin/gantry-init"], root: { path: root } });
  const state = (): { readonly status: string; readonly pid: number } => JSON.parse(oci("state", id).out);
  await until(() => readFileSync(`/proc/${state().pid}/comm`, "utf8") === "gantry-init\n", "the name");
  expect(state().status).toBe("running");
  expect(runBounded(["mkfifo", `${bundles.dir}/state/${id}/exec.fifo`]).code).toBe(0);
  expect(state().status).toBe("running");
  expect(oci("delete", "--force", id).code).toBe(0);
});

test("list: 2,000 containers within 100 ms; no container of a broken directory, and the others still", () => {
  const root = `${bundles.dir}/many`;
  const source = `${bundles.dir}/state/${ours.id}`;
  for (let i = 0; i < 2000; i++) {
    mkdirSync(`${root}/c${i}`, { recursive: true });
    for (const file of ["state.json", "process", "config.json"])
      writeFileSync(
        `${root}/c${i}/${file}`,
        readFileSync(`${source}/${file}`, "utf8").replaceAll(ours.id, `c${i}`),
      );
  }
  // CPU time: others work on this machine, too. On a quiet one the command takes no longer than that.
  const times = Array.from({ length: 15 }, () => {
    const ran = Bun.spawnSync([ociRuntime, "--root", root, "list"], {
      stdin: "ignore",
      stderr: "pipe",
    });
    expect(ran.stdout.toString().split("\n")).toHaveLength(2002);
    return Number(ran.resourceUsage.cpuTime.total) / 1000;
  });
  expect(Math.min(...times)).toBeLessThan(100);
  writeFileSync(`${root}/c5/state.json`, "{");
  const ran = runBounded([ociRuntime, "--root", root, "list", "-q"]);
  expect(ran.out.split("\n")).toHaveLength(2000);
  expect(ran.err).toStartWith("load container c5: ");
  rmSync(root, { recursive: true });
}, 60_000);

const realCriu = process.env["CRIU"] ?? "criu";
const hasCriu = Bun.which(realCriu) !== null && runBounded([realCriu, "check"]).code === 0;

test.skipIf(!hasCriu)(
  "with a CRIU that works here: a container goes on where it was, with its limits",
  async () => {
    const script = "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.05; done";
    const { id, dir } = startOurs({
      args: ["sh", "-c", script],
      linux: {
        resources: { pids: { limit: 17 } },
        namespaces: ["mount", "pid", "network", "ipc", "uts"].map((type) => ({ type })) as never,
      },
    });
    const images = `${bundles.dir}/real`;
    const root = JSON.parse(readFileSync(`${dir}/config.json`, "utf8")).root.path;
    const counted = (): number => Number(readFileSync(`${root}/tmp/count`, "utf8"));
    await until(() => existsSync(`${root}/tmp/count`) && counted() > 3, "the first steps");
    const criu = (...words: string[]): Ran =>
      runBounded([ociRuntime, "--root", `${bundles.dir}/state`, "--criu", realCriu, ...words]);
    expect(criu("checkpoint", "--leave-running", "--image-path", `${images}/live`, id)).toMatchObject({
      code: 0,
    });
    expect(stateOf(oci("state", id)).status).toBe("running");
    expect(criu("checkpoint", "--image-path", images, id)).toMatchObject({ code: 0 });
    expect(oci("state", id).code).toBe(1);
    const before = counted();
    const words = bundles.command(
      "--criu",
      realCriu,
      "restore",
      "--detach",
      "--bundle",
      dir,
      "--image-path",
      images,
      id,
    );
    expect(
      runBounded([
        "sh",
        "-c",
        // CRIU wants files of the same kind as the container had.
        '"$@" > "$0" 2>&1 < /dev/null || { cat "$0"; exit 1; }',
        `${dir}/err`,
        ...words,
      ]),
    ).toMatchObject({ code: 0, out: "" });
    await until(() => counted() > before + 3, "the steps after");
    expect(counted()).toBeLessThan(before + 10_000);
    expect(stateOf(oci("state", id)).status).toBe("running");
    expect(control(id, "pids", "pids.max")).toBe("17");
    expect(oci("exec", id, "cat", "/tmp/count").code).toBe(0);
    expect(oci("delete", "--force", id).code).toBe(0);
  },
);

/** A criu of our own: what it is called with, and what a real one would have done to the processes. */
function fakeCriu(check = "exit 0"): { readonly path: string; readonly calls: () => string } {
  const path = `${bundles.dir}/criu-${Math.random().toString(36).slice(2)}`;
  writeFileSync(
    path,
    `#!/bin/sh
echo "$*" >> ${path}.calls
arg() { want="$1"; shift; while [ $# -gt 0 ]; do [ "$1" = "$want" ] && echo "$2" && return; shift; done; }
case "$1" in
--version) echo "Version: 3.17.1" ;;
check) ${check} ;;
dump) echo saved > "$(arg --images-dir "$@")/pages.img"
  case " $* " in *" --leave-running "*) ;; *) kill -9 "$(arg --tree "$@")" ;; esac ;;
pre-dump) ;;
restore) [ -e "$(arg --root "$@")/bin/busybox" ] || exit 9
  setsid sleep 1000 < /dev/null > /dev/null 2>&1 &
  echo $! > "$(arg --pidfile "$@")" ;;
esac
`,
  );
  chmodSync(path, 0o755);
  return { path, calls: () => readFileSync(`${path}.calls`, "utf8") };
}

const withCriu = (criu: string, ...words: string[]): Ran =>
  runBounded([ociRuntime, "--root", `${bundles.dir}/state`, "--criu", criu, ...words]);

test("checkpoint without a criu that works: refused with a remedy, and nothing is changed", () => {
  const images = `${bundles.dir}/never`;
  const refused = (criu: string, why: string, hint: string): void => {
    const ran = withCriu(criu, "checkpoint", "--image-path", images, ours.id);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(why);
    expect(ran.err).toContain(hint);
    expect(existsSync(images)).toBe(false);
    expect(stateOf(oci("state", ours.id)).status).toBe("running");
  };
  refused("/nowhere/criu", "need the program /nowhere/criu, which is not installed", "hint: install CRIU");
  const broken = fakeCriu('echo "Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds" >&2; exit 1');
  refused(
    broken.path,
    "CRIU does not work on this machine: vdso: Unexpected rt vDSO area bounds",
    "check --all",
  );
  const { dir } = bundles.bundle({});
  const restored = withCriu(broken.path, "restore", "-b", dir, "--image-path", images, "again");
  expect(restored).toMatchObject({ code: 1, err: expect.stringContaining("there is no checkpoint in") });
  expect(existsSync(`${bundles.dir}/state/again`)).toBe(false);
});

test("checkpoint and restore: what criu is asked for, and what is left", () => {
  const criu = fakeCriu();
  const { id, dir } = startOurs({
    mounts: [{ destination: "/mnt", source: "/etc", type: "bind", options: ["bind", "ro"] }],
  });
  const images = `${bundles.dir}/images`;
  expect(withCriu(criu.path, "checkpoint", "--pre-dump", "--image-path", `${images}/pre`, id).code).toBe(0);
  expect(withCriu(criu.path, "checkpoint", "--leave-running", "--image-path", images, id).code).toBe(0);
  expect(stateOf(oci("state", id)).status).toBe("running");
  const parent = withCriu(criu.path, "checkpoint", "--parent-path", "nothing", "--image-path", images, id);
  expect(parent.err).toContain("invalid --parent-path");
  expect(
    withCriu(
      criu.path,
      "checkpoint",
      "--parent-path",
      "pre",
      "--image-path",
      images,
      "--work-path",
      `${images}/work`,
      id,
    ).code,
  ).toBe(0);
  expect(oci("state", id)).toMatchObject({ code: 1, err: "container does not exist\n" });
  for (const hierarchy of readdirSync("/sys/fs/cgroup"))
    expect(existsSync(`/sys/fs/cgroup/${hierarchy}/${id}`)).toBe(false);
  expect(criu.calls()).toContain("--external mnt[/mnt]:/mnt");
  expect(criu.calls()).toContain(`--prev-images-dir pre --track-mem`);
  expect(JSON.parse(readFileSync(`${images}/descriptors.json`, "utf8"))).toHaveLength(3);

  const pidFile = `${bundles.dir}/restored.pid`;
  const ran = withCriu(
    criu.path,
    "restore",
    "--detach",
    "-b",
    dir,
    "--image-path",
    images,
    "--pid-file",
    pidFile,
    id,
  );
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(stateOf(oci("state", id))).toMatchObject({
    status: "running",
    pid: Number(readFileSync(pidFile, "utf8")),
  });
  expect(criu.calls()).toContain("--external mnt[/mnt]:/etc");
  expect(withCriu(criu.path, "restore", "-b", dir, "--image-path", images, id).err).toContain(
    "container with given ID already exists",
  );
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain("criu-root");
  expect(oci("delete", "--force", id).code).toBe(0);
});

test("a restore that fails leaves nothing, and quotes criu's log", () => {
  const { dir } = bundles.bundle({});
  const images = `${bundles.dir}/failed`;
  mkdirSync(images);
  writeFileSync(`${images}/descriptors.json`, '["/dev/null","/dev/null","/dev/null"]');
  const criu = fakeCriu();
  cpSync(criu.path, `${criu.path}-bad`);
  writeFileSync(
    `${criu.path}-bad`,
    `#!/bin/sh\n[ "$1" = restore ] || exec ${criu.path} "$@"\necho "(00.1) Error (criu/x.c:1): no such task" > ${images}/restore.log\nexit 1\n`,
  );
  const ran = withCriu(`${criu.path}-bad`, "restore", "-b", dir, "--image-path", images, "lost");
  expect(ran.code).toBe(1);
  expect(ran.err).toContain("no such task");
  expect(ran.err).toContain("criu failed: exit status 1");
  expect(existsSync(`${bundles.dir}/state/lost`)).toBe(false);
});
