/**
 * --systemd-cgroup against a bus of dbus-daemon and a stand-in for systemd (fake-systemd.py) that speaks by a library which is
 * not ours: that the two understand each other shows that our D-Bus is D-Bus.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync, type Subprocess } from "bun";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { OciResources } from "../../src/runtime/index.ts";
import { OciWorld } from "./oci-program.ts";
import { cgroups } from "./runtime-world.ts";

const dir = mkdtempSync("/tmp/gantry-systemd-");
const socket = `${dir}/bus`;
const log = `${dir}/calls`;
const slice = `gantrytest${process.pid}-a.slice`;
const slicePath = `/gantrytest${process.pid}.slice/${slice}`;
const world = new OciWorld();
let processes: Subprocess[] = [];

const missing = reasonToSkip();
if (missing !== undefined) console.log(`--systemd-cgroup is not tested: ${missing}`);

function reasonToSkip(): string | undefined {
  if (cgroups.controllers["name=systemd"] === undefined) return "there is no hierarchy name=systemd";
  if (Bun.which("dbus-daemon") === null) return "dbus-daemon is not installed";
  const installed = spawnSync([
    "python3",
    "-m",
    "pip",
    "install",
    "--quiet",
    "--target",
    `${dir}/python`,
    "jeepney==0.8.0",
  ]);
  return installed.success ? undefined : "pip cannot install jeepney";
}

/** @param mood how the stand-in answers */
async function startSystemd(mood = ""): Promise<void> {
  writeFileSync(log, "");
  writeFileSync(
    `${dir}/bus.conf`,
    `<busconfig><type>session</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
  );
  processes.push(
    Bun.spawn(["dbus-daemon", `--config-file=${dir}/bus.conf`, "--nofork"], {
      stdout: "ignore",
      stderr: "ignore",
    }),
  );
  for (let i = 0; i < 500 && !existsSync(socket); i++) await Bun.sleep(10);
  const systemd = Bun.spawn(
    ["python3", `${import.meta.dir}/fake-systemd.py`, `unix:path=${socket}`, log, mood],
    {
      env: { ...process.env, PYTHONPATH: `${dir}/python` },
      stdout: "pipe",
    },
  );
  processes.push(systemd);
  await systemd.stdout.getReader().read();
}

interface Call {
  readonly member: string;
  readonly body: readonly unknown[];
}

function calls(member: string): readonly Call[] {
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Call)
    .filter((call) => call.member === member);
}

/** Name, signature and value of each property of a call. */
function properties(call: Call | undefined, at: number): readonly (readonly [string, string, unknown])[] {
  const list = (call?.body[at] ?? []) as readonly (readonly [string, readonly [string, unknown]])[];
  return list.map(([name, [signature, value]]) => [name, signature, value]);
}

const env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${socket},guid=0` };
const call = (...words: string[]) => world.callWith({ env }, ...words);

function create(name: string, resources: OciResources = {}, change: object = {}) {
  const linux = { cgroupsPath: `${slice}:gt:${name}`, resources };
  return call(
    "--systemd-cgroup",
    "create",
    "--bundle",
    world.bundle(name, ["sleep", "1000"], change, linux),
    name,
  );
}

describe.skipIf(missing !== undefined)("--systemd-cgroup", () => {
  beforeAll(() => expect(existsSync(socket)).toBe(false));

  afterEach(async () => {
    for (const running of processes) running.kill();
    for (const running of processes) await running.exited;
    processes = [];
    rmSync(socket, { force: true });
  });

  test("a scope is made with the limits, entered in every hierarchy, changed and stopped", async () => {
    await startSystemd();
    const resources: OciResources = {
      memory: { limit: 64 << 20 },
      cpu: { shares: 512, quota: 45_678, period: 100_000, cpus: "0-1" },
      pids: { limit: 20 },
      devices: [{ allow: false }, { allow: true, type: "c", major: 10, minor: 200, access: "rw" }],
    };
    const annotations = {
      "org.systemd.property.TimeoutStopSec": "uint64 5",
      "org.systemd.property.CollectMode": "'inactive'",
    };
    const created = create("scope", resources, { annotations });
    expect(created.stderr).toBe("");
    const [started] = calls("StartTransientUnit");
    expect(started?.body.slice(0, 2)).toEqual(["gt-scope.scope", "replace"]);
    expect(properties(started, 2)).toEqual(
      expect.arrayContaining([
        ["Slice", "s", slice],
        ["Delegate", "b", true],
        ["PIDs", "au", [expect.any(Number)]],
        ["DefaultDependencies", "b", false],
        ["TimeoutStopUSec", "t", 5_000_000],
        ["CollectMode", "s", "inactive"],
        ["MemoryLimit", "t", 64 << 20],
        ["CPUShares", "t", 512],
        // In whole percents, rounded up.
        ["CPUQuotaPerSecUSec", "t", 460_000],
        ["TasksMax", "t", 20],
        ["DevicePolicy", "s", "strict"],
        [
          "DeviceAllow",
          "a(ss)",
          expect.arrayContaining([
            ["/dev/char/10:200", "rw"],
            ["char-*", "m"],
          ]),
        ],
      ]),
    );
    const { pid } = world.state("scope");
    const own = readFileSync(`/proc/${String(pid)}/cgroup`, "utf8");
    for (const hierarchy of ["name=systemd", "memory", "pids", "devices", "freezer"])
      expect(own).toContain(`:${hierarchy}:${slicePath}/gt-scope.scope\n`);
    const scope = `${cgroups.controllers["name=systemd"] ?? ""}${slicePath}/gt-scope.scope/cgroup.procs`;
    // The stand-in process has gone.
    expect(readFileSync(scope, "utf8").trim()).toBe(String(pid));
    expect(
      readFileSync(`${cgroups.controllers["pids"] ?? ""}${slicePath}/gt-scope.scope/pids.max`, "utf8").trim(),
    ).toBe("20");

    expect(call("update", "--pids-limit", "30", "scope").stderr).toBe("");
    expect(calls("SetUnitProperties")[0]?.body).toEqual(["gt-scope.scope", true, [["TasksMax", ["t", 30]]]]);
    expect(call("start", "scope").code).toBe(0);
    expect(call("exec", "scope", "true").code).toBe(0);
    expect(call("delete", "--force", "scope").stderr).toBe("");
    expect(calls("StopUnit")[0]?.body).toEqual(["gt-scope.scope", "replace"]);
    expect(existsSync(scope)).toBe(false);
  });

  test("a unit that failed earlier and was left is reset and made anew", async () => {
    await startSystemd("leftover");
    expect(create("again").stderr).toBe("");
    expect(calls("StartTransientUnit")).toHaveLength(2);
    expect(call("delete", "--force", "again").code).toBe(0);
  });

  test.each([
    ["refuse", "systemd unit gt-refuse.scope: no such property"],
    ["failed", "error creating systemd unit gt-failed.scope: got failed"],
  ])("systemd's %s is told in its words, and nothing is left", async (mood, words) => {
    await startSystemd(mood);
    const answer = create(mood);
    expect(answer.code).toBe(1);
    expect(answer.stderr).toContain(words);
    expect(world.call("state", mood).code).toBe(1);
    expect(existsSync(`${cgroups.controllers["memory"] ?? ""}${slicePath}/gt-${mood}.scope`)).toBe(false);
  });

  test("a config that cannot be started stops the scope", async () => {
    await startSystemd();
    const answer = create("broken", {}, { process: { args: ["/no/such"], cwd: "/" } });
    const started = answer.code === 0 ? call("start", "broken") : answer;
    expect(started.code).not.toBe(0);
    call("delete", "--force", "broken");
    expect(calls("StopUnit").length).toBeGreaterThan(0);
  });

  test("without systemd: said, with the remedy", () => {
    const answer = create("none");
    expect(answer.stderr).toContain("systemd cannot be asked to make the cgroup");
    expect(answer.stderr).toContain("--systemd-cgroup");
    expect(world.call("state", "none").code).toBe(1);
  });

  test("a path that is not slice:prefix:name", () => {
    const bundle = world.bundle("path", ["true"], {}, { cgroupsPath: "/not/systemd" });
    const answer = call("--systemd-cgroup", "create", "--bundle", bundle, "path");
    expect(answer.stderr).toContain(
      'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups',
    );
  });
});

afterAll(async () => {
  await world.cleanUp();
  for (const mount of new Set([...Object.values(cgroups.controllers), cgroups.unified ?? ""]))
    for (const path of [slicePath, `/gantrytest${process.pid}.slice`]) {
      const whole = `${mount}${path}`;
      if (!existsSync(whole)) continue;
      for (const entry of readdirSync(whole, { withFileTypes: true }))
        if (entry.isDirectory()) rmdirSync(`${whole}/${entry.name}`);
      rmdirSync(whole);
    }
  rmSync(dir, { recursive: true, force: true });
});
