/**
 * SIGKILL for gantry-oci, gantry-init and the container's process on their way: the next command tells the truth, and
 * `delete --force` leaves nothing. As root: scripts/bun test test/system/oci-kill.test.ts
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { gantryOci, OciWorld } from "./oci-program.ts";
import { cgroupLeftovers } from "./runtime-world.ts";

const own = new OciWorld();
const { root, world } = own;

afterAll(() => own.cleanUp());

const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** Processes whose program is gantry-init or that lie in a container of this world. */
function leftProcesses(): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`${world.prefix}/`);
      } catch {
        return false;
      }
    });
}

/** The gantry-init that a gantry-oci has started, as soon as it is there. */
async function initOf(pid: number): Promise<number> {
  const until = performance.now() + 1000;
  while (performance.now() < until) {
    try {
      const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
      if (child !== undefined && child !== "" && readlinkSync(`/proc/${child}/exe`).includes("gantry-init"))
        return Number(child);
    } catch {
      // Not there yet.
    }
    await Bun.sleep(0);
  }
  throw new Error(`no gantry-init below ${pid}`);
}

function spawn(...words: string[]): Bun.Subprocess<"ignore", "ignore", Bun.BunFile> {
  return Bun.spawn([gantryOci, "--root", root, ...words], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(`${world.dir}/stderr`),
  });
}

/** What every killed command must leave: a state that can be asked and deleted, and then nothing. */
function cleans(id: string): void {
  const state = own.call("state", id);
  if (state.code !== 0) expect(state.stderr).toMatch(/does not exist|cannot be read/);
  const deleted = own.call("delete", "--force", id);
  expect(deleted).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(cgroupLeftovers(own.cgroup(id))).toEqual([]);
  expect(existsSync(`${root}/${id}`)).toBe(false);
  expect(own.call("state", id)).toMatchObject({ code: 1, stderr: "container does not exist\n" });
}

/** From before anything is done until long after all is: in steps of 0.3 ms. */
const delays = Array.from({ length: 60 }, (_, index) => index * 0.3);

function busyWait(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test.each(["create", "run"])(
  "gantry-oci %s is killed at any moment",
  async (verb) => {
    const dir = own.bundle(`k-${verb}`, ["sleep", "60"]);
    for (const delay of delays) {
      const child = spawn(verb, "--bundle", dir, `k-${verb}`);
      busyWait(delay);
      child.kill("SIGKILL");
      await child.exited;
      cleans(`k-${verb}`);
    }
    expect(leftProcesses()).toEqual([]);
  },
  120_000,
);

test("a create that was killed after the process was there is a container like any other", async () => {
  const dir = own.bundle("late", ["sh", "-c", "echo > /tmp/late; sleep 60"]);
  let created = 0;
  for (let delay = 4; delay < 16 && created < 2; delay += 0.5) {
    const child = spawn("create", "--bundle", dir, "late");
    busyWait(delay);
    child.kill("SIGKILL");
    await child.exited;
    await Bun.sleep(30);
    const state = own.call("state", "late");
    if (state.code === 0 && JSON.parse(state.stdout).status === "created") {
      created++;
      expect(own.call("start", "late")).toEqual({ code: 0, stdout: "", stderr: "" });
      expect(own.status("late")).toBe("running");
    }
    cleans("late");
  }
}, 60_000);

test.each(["create", "run", "exec"])(
  "gantry-init is killed while it works for %s",
  async (verb) => {
    const id = `i-${verb}`;
    const dir = own.bundle(id, ["sleep", "60"]);
    if (verb === "exec") own.call("run", "--detach", "--bundle", dir, id);
    for (const delay of [0, 0.5, 1, 2, 3, 4, 6]) {
      const child = verb === "exec" ? spawn("exec", id, "sleep", "60") : spawn(verb, "--bundle", dir, id);
      let init: number | undefined;
      try {
        init = await initOf(child.pid);
      } catch {
        // It has done its work already (create).
      }
      busyWait(delay);
      if (init !== undefined && alive(init)) process.kill(init, "SIGKILL");
      const code = await Promise.race([child.exited, Bun.sleep(10_000)]);
      expect(code, "gantry-oci waits for ever").toBeDefined();
      const words = readFileSync(`${world.dir}/stderr`, "utf8");
      if (code !== 0) expect(words).toMatch(/gantry-init ended|does not exist/);
      if (verb === "exec") expect(own.status(id)).toBe("running");
      else cleans(id);
    }
    cleans(id);
    expect(leftProcesses()).toEqual([]);
  },
  60_000,
);

test("gantry-init is killed while a container runs: the container goes with it, and its cgroups", async () => {
  const dir = own.bundle("fore", ["sleep", "60"]);
  const child = spawn("run", "--bundle", dir, "fore");
  const init = await initOf(child.pid);
  await own.until("fore", "running");
  process.kill(init, "SIGKILL");
  expect(await child.exited).toBe(1);
  expect(readFileSync(`${world.dir}/stderr`, "utf8")).toContain("gantry-init ended without saying");
  expect(own.call("state", "fore").stderr).toBe("container does not exist\n");
  expect(cgroupLeftovers(own.cgroup("fore"))).toEqual([]);
  expect(leftProcesses()).toEqual([]);
});

test("gantry-oci run is killed: its container runs on, and is known", async () => {
  const dir = own.bundle("alone", ["sleep", "60"]);
  const child = spawn("run", "--bundle", dir, "alone");
  await initOf(child.pid);
  await own.until("alone", "running");
  child.kill("SIGKILL");
  await child.exited;
  expect(own.status("alone")).toBe("running");
  expect(own.call("kill", "alone", "KILL").code).toBe(0);
  await own.until("alone", "stopped");
  expect(own.call("delete", "alone").code).toBe(0);
  expect(cgroupLeftovers(own.cgroup("alone"))).toEqual([]);
});

test("the process of a created container is killed: it has stopped, cannot be started, and is deleted", () => {
  const dir = own.bundle("dead", ["sleep", "60"]);
  own.call("create", "--bundle", dir, "dead");
  process.kill(Number(own.state("dead")["pid"]), "SIGKILL");
  const until = Date.now() + 2000;
  while (own.status("dead") !== "stopped" && Date.now() < until);
  expect(own.state("dead")).toMatchObject({ status: "stopped", pid: 0 });
  expect(own.call("start", "dead")).toMatchObject({
    code: 1,
    stderr: "cannot start a container that has stopped\n",
  });
  expect(own.call("kill", "dead", "KILL")).toMatchObject({ code: 1, stderr: "container not running\n" });
  expect(own.call("delete", "dead")).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(cgroupLeftovers(own.cgroup("dead"))).toEqual([]);
});

test("start is killed at any moment: the container is created still, runs, or has ended", async () => {
  const dir = own.bundle("begun", ["sleep", "60"]);
  for (const delay of delays.slice(0, 20)) {
    own.call("create", "--bundle", dir, "begun");
    const child = spawn("start", "begun");
    busyWait(delay);
    child.kill("SIGKILL");
    await child.exited;
    // What was let go is on its way to its program.
    await Bun.sleep(5);
    const status = own.status("begun");
    const again = own.call("start", "begun");
    if (again.stderr.includes("has stopped")) {
      // The fifo was closed before the process had written to it: it ends, as with runc.
      expect(again).toMatchObject({ code: 1, stderr: "cannot start a container that has stopped\n" });
      cleans("begun");
      continue;
    }
    if (status === "created") expect(again).toEqual({ code: 0, stdout: "", stderr: "" });
    else expect(again).toMatchObject({ code: 1, stderr: "cannot start an already running container\n" });
    expect(own.status("begun")).toBe("running");
    expect(own.call("exec", "begun", "echo", "in")).toEqual({ code: 0, stdout: "in\n", stderr: "" });
    cleans("begun");
  }
}, 60_000);

test.each([[["delete", "--force"]], [["delete"]]])(
  "%j is killed at any moment",
  async (words) => {
    const dir = own.bundle("gone", ["sleep", "60"]);
    for (const delay of delays.slice(0, 30)) {
      own.call("create", "--bundle", dir, "gone");
      const child = spawn(...words, "gone");
      busyWait(delay);
      child.kill("SIGKILL");
      await child.exited;
      if (existsSync(`${root}/gone`)) cleans("gone");
      expect(cgroupLeftovers(own.cgroup("gone"))).toEqual([]);
    }
    expect(leftProcesses()).toEqual([]);
  },
  60_000,
);

test("gantry-init of a running exec is killed: the process goes with it, the container stays", async () => {
  const dir = own.bundle("inner", ["sleep", "60"]);
  own.call("run", "--detach", "--bundle", dir, "inner");
  const pidFile = `${world.dir}/inner.pid`;
  const child = spawn("exec", "--pid-file", pidFile, "inner", "sleep", "61");
  const init = await initOf(child.pid);
  for (let i = 0; i < 500 && !existsSync(pidFile); i++) await Bun.sleep(5);
  await Bun.sleep(100);
  const pid = Number(readFileSync(pidFile, "utf8"));
  expect(alive(pid)).toBe(true);
  process.kill(init, "SIGKILL");
  expect(await child.exited).toBe(255);
  for (let i = 0; i < 100 && alive(pid); i++) await Bun.sleep(10);
  expect(alive(pid)).toBe(false);
  expect(own.status("inner")).toBe("running");
  cleans("inner");
});

test("exec is killed: its process runs on in the container, and ends with it", async () => {
  const dir = own.bundle("host", ["sleep", "60"]);
  own.call("run", "--detach", "--bundle", dir, "host");
  for (const delay of delays.slice(0, 20)) {
    const child = spawn("exec", "host", "sleep", "60");
    busyWait(delay);
    child.kill("SIGKILL");
    await child.exited;
  }
  expect(own.status("host")).toBe("running");
  cleans("host");
  expect(leftProcesses()).toEqual([]);
}, 60_000);

test("the state of an earlier boot counts as stopped", () => {
  const dir = own.bundle("old", ["sleep", "60"]);
  own.call("run", "--detach", "--bundle", dir, "old");
  const file = `${root}/old/state.json`;
  const text = readFileSync(file, "utf8");
  Bun.write(file, text.replace(/"bootId":"[^"]*"/, '"bootId":"another"'));
  expect(own.state("old")).toMatchObject({ status: "stopped", pid: 0 });
  cleans("old");
});

test("a state directory without a state is told and deleted", () => {
  const dir = own.bundle("empty", ["true"]);
  own.call("create", "--bundle", dir, "empty");
  const pid = Number(own.state("empty")["pid"]);
  rmSync(`${root}/empty/process`);
  // Its process is found through its cgroup.
  expect(own.state("empty")).toMatchObject({ pid, status: "created" });
  expect(own.call("delete", "empty")).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(alive(pid)).toBe(false);
  expect(cgroupLeftovers(own.cgroup("empty"))).toEqual([]);
});

test("two commands on one container: one after the other", async () => {
  const dir = own.bundle("both", ["sleep", "60"]);
  for (let i = 0; i < 5; i++) {
    const creates = [spawn("create", "--bundle", dir, "both"), spawn("create", "--bundle", dir, "both")];
    const codes = await Promise.all(creates.map((child) => child.exited));
    expect([...codes].sort()).toEqual([0, 1]);
    const starts = [spawn("start", "both"), spawn("start", "both")];
    expect((await Promise.all(starts.map((child) => child.exited))).sort()).toEqual([0, 1]);
    const deletes = [spawn("delete", "-f", "both"), spawn("delete", "-f", "both")];
    expect(await Promise.all(deletes.map((child) => child.exited))).toEqual([0, 0]);
  }
  expect(cgroupLeftovers(own.cgroup("both"))).toEqual([]);
}, 30_000);
