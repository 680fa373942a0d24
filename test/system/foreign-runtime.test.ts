/** Containers that runc and crun make, through our engine: `--runtime`. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TestEngine } from "../lib/engine.ts";

const installed = ["runc", "crun"].filter((name) => Bun.which(name) !== null);
if (installed.length === 0) console.log("skipped: neither runc nor crun is installed");

const engine = new TestEngine("foreign");
beforeAll(async () => {
  await engine.start();
  expect((await engine.run(["image", "bootstrap", "busybox"])).code).toBe(0);
});
afterAll(async () => {
  await engine.uninstall();
});

describe.each(installed)("%s", (runtime) => {
  const run = (...words: string[]) => engine.run(["run", "--runtime", runtime, ...words]);
  const name = `of-${runtime}`;
  /** In the background. What was said tells why, when it fails. */
  const start = (...words: string[]) =>
    expect(run("-d", "--name", name, ...words)).toMatchObject({ code: 0, err: "" });
  // A test that failed must not take the name from the next.
  afterEach(() => {
    engine.run(["rm", "-f", name]);
  });

  test("exit code, output and input", async () => {
    const result = await engine.run(
      ["run", "--rm", "-i", "--runtime", runtime, "busybox", "sh", "-c", "cat; echo err >&2; exit 7"],
      { stdin: "hello" },
    );
    expect(result).toEqual({ code: 7, out: "hello", err: "err\n" });
  });

  test("a command that is not there ends with 127, and leaves nothing", async () => {
    const result = await run("--rm", "busybox", "/no/such/command");
    expect(result.err).toContain("/no/such/command");
    expect(result.code).toBe(127);
    expect((await engine.run(["ps", "-aq"])).out).toBe("");
  });

  test("network, limits, exec, pause, logs, restart, stop", async () => {
    start("--memory", "64m", "busybox", "sh", "-c", "echo up; exec sleep 600");
    const { out: inspect } = await engine.run(["inspect", name]);
    const [view] = JSON.parse(inspect);
    expect(view.HostConfig.Runtime).toBe(runtime);
    const address = await engine.run(["exec", name, "ip", "-4", "addr", "show", "eth0"]);
    expect(address.out).toContain(view.NetworkSettings.IPAddress);
    const gateway = await engine.run(["exec", name, "ping", "-c1", "-W2", view.NetworkSettings.Gateway]);
    expect(gateway.code).toBe(0);
    const limit = readFileSync(
      `/sys/fs/cgroup/memory${cgroupOf(view.State.Pid)}/memory.limit_in_bytes`,
      "utf8",
    );
    expect(limit.trim()).toBe(String(64 << 20));
    expect((await engine.run(["exec", name, "sh", "-c", "exit 9"])).code).toBe(9);
    expect((await engine.run(["exec", "-i", name, "cat"], { stdin: "through" })).out).toBe("through");
    expect((await engine.run(["pause", name])).code).toBe(0);
    expect((await engine.run(["ps", "--format", "{{.Status}}"])).out).toContain("Paused");
    expect((await engine.run(["unpause", name])).code).toBe(0);
    await expectLogs(name, "up\n");
    expect((await engine.run(["restart", "-t", "1", name])).code).toBe(0);
    await expectLogs(name, "up\nup\n");
    expect((await engine.run(["explain", name])).out).toContain(`/${runtime} --root`);
    expect((await engine.run(["rm", "-f", name])).code).toBe(0);
    expect(readdirSync(join(engine.dir, "run/oci"))).toEqual([]);
  });

  test("an init of ours, and a terminal", async () => {
    const result = await run("--rm", "--init", "busybox", "cat", "/proc/1/cmdline");
    expect(result.out).toStartWith("/sbin/docker-init\0");
    const tty = await run("--rm", "-t", "busybox", "tty");
    expect(tty.out.trim()).toBe("/dev/pts/0");
  });

  test("its monitor killed: the container has ended, and can be started again", async () => {
    start("busybox", "sleep", "600");
    const [view] = JSON.parse((await engine.run(["inspect", name])).out);
    const status = readFileSync(join(engine.dir, "lib/containers", view.Id, "status"), "utf8");
    process.kill(Number(status.split(" ")[3]), "SIGKILL");
    expect((await engine.run(["wait", name])).out.trim()).toBe("255");
    expect(existsSync(`/proc/${view.State.Pid}/exe`)).toBe(false);
    expect((await engine.run(["start", name])).code).toBe(0);
    expect((await engine.run(["exec", name, "true"])).code).toBe(0);
    expect((await engine.run(["rm", "-f", name])).code).toBe(0);
  });

  test("the engine killed: the container goes on", async () => {
    start("busybox", "sleep", "600");
    await engine.kill();
    await engine.start();
    expect((await engine.run(["exec", name, "echo", "alive"])).out).toBe("alive\n");
    expect((await engine.run(["rm", "-f", name])).code).toBe(0);
  });
});

test("an unknown runtime is refused by name", async () => {
  const result = await engine.run(["run", "--runtime", "nosuch", "busybox", "true"]);
  expect(result.code).toBe(125);
  expect(result.err).toContain("unknown or invalid runtime name: nosuch");
});

/** A program has been started when `restart` is done; what it writes comes when it gets the processor. */
async function expectLogs(name: string, want: string): Promise<void> {
  const read = (): string => engine.run(["logs", name]).out;
  for (let tries = 0; tries < 200 && read().length < want.length; tries++) await Bun.sleep(50);
  expect(read()).toBe(want);
}

/** Of the memory hierarchy, as the host sees it. */
function cgroupOf(pid: number): string {
  return /:memory:(.*)/.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";
}
