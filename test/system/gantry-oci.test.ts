/** gantry-oci's command line on the real kernel. As root: scripts/bun test test/system/gantry-oci.test.ts */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { gantryOci, OciWorld } from "./oci-program.ts";
import { cgroupLeftovers } from "./runtime-world.ts";

const own = new OciWorld();
const { world, root } = own;
const oci = own.call.bind(own);
const ociWith = own.callWith.bind(own);
const bundle = own.bundle.bind(own);
const status = own.status.bind(own);

afterAll(() => own.cleanUp());

test("run passes stdio and the exit code through, and leaves nothing", () => {
  const dir = bundle("run1", ["sh", "-c", "cat; echo err >&2; exit 7"]);
  const answer = ociWith({ stdin: new TextEncoder().encode("hi\n") }, "run", "--bundle", dir, "run1");
  expect(answer).toEqual({ code: 7, stdout: "hi\n", stderr: "err\n" });
  expect(oci("state", "run1")).toMatchObject({ code: 1, stderr: "container does not exist\n" });
  expect(cgroupLeftovers(`${world.prefix}/run1`)).toEqual([]);
  expect(readdirSync(root)).toEqual([]);
});

test("create, start, exec, pause, resume, kill, delete: the life of a container", async () => {
  const dir = bundle("life", ["sh", "-c", "echo begun > /tmp/begun; sleep 60 & wait"]);
  const pidFile = `${world.dir}/pid`;
  expect(oci("create", "--bundle", dir, "--pid-file", pidFile, "life")).toMatchObject({
    code: 0,
    stderr: "",
  });
  const state = JSON.parse(oci("state", "life").stdout);
  expect(state).toMatchObject({
    ociVersion: "1.3.0",
    id: "life",
    status: "created",
    bundle: dir,
    rootfs: world.rootfs,
    owner: "",
  });
  expect(readFileSync(pidFile, "utf8")).toBe(String(state.pid));
  expect(existsSync(`${world.rootfs}/tmp/begun`)).toBe(false);
  expect(oci("create", "--bundle", dir, "life").stderr).toContain("container with given ID already exists");
  expect(oci("start", "life")).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(status("life")).toBe("running");
  expect(oci("start", "life")).toMatchObject({
    code: 1,
    stderr: "cannot start an already running container\n",
  });
  expect(oci("exec", "life", "sh", "-c", "hostname; exit 4")).toEqual({
    code: 4,
    stdout: "box\n",
    stderr: "",
  });
  expect(
    oci(
      "exec",
      "--user",
      "12:34",
      "--env",
      "A=b",
      "--cwd",
      "/tmp",
      "life",
      "sh",
      "-c",
      "id -u; id -g; echo $A; pwd",
    ).stdout,
  ).toBe("12\n34\nb\n/tmp\n");
  expect(oci("exec", "life", "nope")).toMatchObject({ code: 255 });
  expect(JSON.parse(oci("ps", "--format", "json", "life").stdout)).toContain(state.pid);
  expect(oci("list", "--quiet").stdout).toBe("life\n");
  expect(oci("list").stdout).toMatch(/^ID +PID +STATUS +BUNDLE +CREATED +OWNER\nlife +\d+ +running /);
  expect(oci("pause", "life").code).toBe(0);
  expect(status("life")).toBe("paused");
  expect(oci("exec", "life", "true").stderr).toContain("paused container");
  expect(oci("resume", "life").code).toBe(0);
  expect(oci("delete", "life").stderr).toStartWith(
    "cannot delete container life that is not stopped: running\n",
  );
  expect(oci("kill", "life", "KILL").code).toBe(0);
  for (let i = 0; i < 100 && status("life") !== "stopped"; i++) await Bun.sleep(10);
  expect(JSON.parse(oci("state", "life").stdout)).toMatchObject({ status: "stopped", pid: 0 });
  expect(oci("kill", "life", "0")).toMatchObject({ code: 1, stderr: "container not running\n" });
  expect(oci("exec", "life", "true").stderr).toContain("stopped container");
  expect(oci("delete", "life")).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(cgroupLeftovers(`${world.prefix}/life`)).toEqual([]);
});

test("a created container is deleted with its waiting process", () => {
  const dir = bundle("half", ["true"]);
  oci("create", "--bundle", dir, "half");
  expect(oci("delete", "half").code).toBe(0);
  expect(cgroupLeftovers(`${world.prefix}/half`)).toEqual([]);
});

test("a create that was killed half-way is cleaned by delete --force", () => {
  mkdirSync(`${root}/torn`, { recursive: true });
  expect(oci("state", "torn").code).toBe(1);
  expect(oci("delete", "--force", "torn").code).toBe(0);
  expect(existsSync(`${root}/torn`)).toBe(false);
  expect(oci("delete", "--force", "torn").code).toBe(0);
});

test("run --detach returns at once; delete --force ends it", () => {
  const dir = bundle("back", ["sleep", "60"]);
  expect(oci("run", "--detach", "--bundle", dir, "back").code).toBe(0);
  expect(status("back")).toBe("running");
  expect(oci("delete", "--force", "back").code).toBe(0);
  expect(cgroupLeftovers(`${world.prefix}/back`)).toEqual([]);
});

test("a signal to gantry-oci run goes to the container", async () => {
  const dir = bundle("sig", [
    "sh",
    "-c",
    "trap 'echo got; exit 3' TERM; echo ready; while true; do sleep 0.05; done",
  ]);
  const child = Bun.spawn([gantryOci, "--root", root, "run", "--bundle", dir, "sig"], {
    stdout: "pipe",
  });
  const reader = child.stdout.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("ready\n");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(3);
});

test("errors: on stderr, in the log, with runc's exit code, and nothing is left", () => {
  const log = `${world.dir}/log.json`;
  const dir = bundle("bad", ["nope"]);
  const answer = oci("--log", log, "--log-format", "json", "run", "--bundle", dir, "bad");
  expect(answer.code).toBe(1);
  expect(answer.stderr).toContain('exec: "nope": executable file not found in $PATH');
  expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({
    level: "error",
    msg: expect.stringContaining("not found in $PATH"),
  });
  expect(existsSync(`${root}/bad`)).toBe(false);
  expect(cgroupLeftovers(`${world.prefix}/bad`)).toEqual([]);
  expect(oci("state", "no/such").stderr).toContain("invalid container ID format");
  expect(oci("run", "--bundle", `${world.dir}/none`, "x").stderr).toContain("config.json not found");
  expect(oci("fly").code).toBe(3);
  expect(oci("state").stderr).toBe('gantry-oci: "state" requires exactly 1 argument(s)\n');
});

test("validate prints every finding; plan prints every step, and does nothing", () => {
  const dir = bundle("look", ["true"], { hostname: 5, process: { cwd: "x", args: ["true"] } });
  expect(oci("validate", "--bundle", dir)).toMatchObject({
    code: 1,
    stdout: "process.cwd: must be an absolute path\nhostname: must be a text\n",
  });
  const good = bundle("look2", ["true"]);
  expect(oci("validate", "--bundle", good)).toEqual({ code: 0, stdout: "", stderr: "" });
  const text = oci("plan", "--bundle", good).stdout;
  expect(text).toContain("On the host:");
  expect(text).toContain("Mount a proc on /proc");
  const steps = JSON.parse(oci("plan", "--bundle", good, "--format", "json").stdout);
  expect(steps.container.at(-1)).toMatchObject({ do: "exec", argv: ["true"] });
  expect(cgroupLeftovers(`${world.prefix}/look2`)).toEqual([]);
});

test("hooks: poststart and poststop get the state on stdin", () => {
  const hook = (name: string) => [{ path: "/bin/sh", args: ["sh", "-c", `cat > ${world.dir}/${name}`] }];
  const dir = bundle("hooked", ["true"], {
    hooks: { poststart: hook("poststart"), poststop: hook("poststop") },
  });
  expect(oci("run", "--bundle", dir, "hooked")).toMatchObject({ code: 0, stderr: "" });
  for (const name of ["poststart", "poststop"])
    expect(JSON.parse(readFileSync(`${world.dir}/${name}`, "utf8"))).toMatchObject({
      id: "hooked",
      bundle: dir,
    });
});

test("spec writes a config that validates, once", () => {
  const dir = `${world.dir}/spec`;
  mkdirSync(dir);
  expect(oci("spec", "--bundle", dir).code).toBe(0);
  expect(oci("validate", "--bundle", dir)).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(oci("spec", "--bundle", dir).stderr).toContain("exists");
});
