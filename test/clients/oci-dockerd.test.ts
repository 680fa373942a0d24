/** Debian's dockerd with gantry-oci as a runtime of its own, used by the real docker command. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  endDaemon,
  makeImageArchive,
  mustRun,
  ociRuntime,
  type Ran,
  removeEmptyCgroups,
  runCommand,
  until,
} from "../lib/oci-world.ts";

setDefaultTimeout(60_000);

const missing = ["dockerd", "docker", "containerd"].filter((name) => Bun.which(name) === null);
if (missing.length > 0) process.stdout.write(`oci-dockerd.test.ts skipped: no ${missing.join(", ")}\n`);

let dir = "";
let daemon: Bun.Subprocess | undefined;
const client = (): string[] => [Bun.which("docker") ?? "docker", "-H", `unix://${dir}/docker.sock`];
const docker = (...words: string[]): Promise<string> => mustRun([...client(), ...words]);
const tryDocker = (words: string[], stdin?: string): Promise<Ran> =>
  runCommand([...client(), ...words], stdin);
const alone = ["--runtime", "gantry", "--network", "none"];

beforeAll(async () => {
  if (missing.length > 0) return;
  dir = mkdtempSync("/tmp/gantry-dockerd-");
  daemon = Bun.spawn(
    [
      "dockerd",
      "--data-root",
      join(dir, "data"),
      "--exec-root",
      join(dir, "exec"),
      "-p",
      join(dir, "pid"),
      "-H",
      `unix://${dir}/docker.sock`,
      "--bridge",
      "none",
      "--iptables=false",
      "--ip6tables=false",
      "--add-runtime",
      `gantry=${ociRuntime}`,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: Bun.file(join(dir, "log")) },
  );
  await until(async () => (await tryDocker(["version"])).code === 0, "dockerd's first answer");
  await makeImageArchive(join(dir, "image.tar"));
  await docker("load", "-i", join(dir, "image.tar"));
}, 120_000);

afterAll(async () => {
  if (missing.length > 0) return;
  const ids = await docker("ps", "-aq");
  if (ids !== "") await docker("rm", "-f", ...ids.split("\n"));
  await endDaemon(daemon);
  await removeEmptyCgroups("docker");
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

describe.skipIf(missing.length > 0)("dockerd", () => {
  test("input, output and exit code", async () => {
    const ran = await tryDocker(
      ["run", "--rm", "-i", ...alone, "busybox", "sh", "-c", "cat; echo err >&2; exit 7"],
      "hi",
    );
    expect(ran).toEqual({ code: 7, out: "hi", err: "err\n" });
  });

  test("a terminal", async () => {
    const out = await docker(
      "run",
      "--rm",
      "-t",
      ...alone,
      "busybox",
      "sh",
      "-c",
      "tty; test -t 0 && echo yes",
    );
    expect(out.replaceAll("\r", "")).toBe("/dev/pts/0\nyes");
  });

  test.each([
    ["/no/such/command", 127],
    ["/etc", 126],
  ])("%s ends with %d", async (command, code) => {
    const ran = await tryDocker(["run", "--rm", ...alone, "busybox", command]);
    expect(ran.err).toContain(command);
    expect(ran.code).toBe(code);
  });

  test("exec with user, directory, environment, terminal, exit code, detached", async () => {
    const id = await docker("run", "-d", ...alone, "busybox", "sleep", "600");
    const ran = await tryDocker([
      "exec",
      "-u",
      "12:34",
      "-w",
      "/tmp",
      "-e",
      "A=b",
      id,
      "sh",
      "-c",
      "id -u; id -g; pwd; echo $A; exit 5",
    ]);
    expect(ran).toMatchObject({ code: 5, out: "12\n34\n/tmp\nb\n" });
    expect((await tryDocker(["exec", "-i", id, "cat"], "through")).out).toBe("through");
    expect(await docker("exec", "-t", id, "tty")).toBe("/dev/pts/0");
    await docker("exec", "-d", id, "touch", "/made");
    await until(async () => (await tryDocker(["exec", id, "ls", "/made"])).code === 0, "a detached exec");
    expect([126, 127]).toContain((await tryDocker(["exec", id, "/no/such"])).code);
    expect(await docker("top", id)).toContain("sleep 600");
    await docker("rm", "-f", id);
  });

  test("pause, unpause, update, limits", async () => {
    const id = await docker(
      "run",
      "-d",
      "--memory",
      "64m",
      "--pids-limit",
      "50",
      ...alone,
      "busybox",
      "sleep",
      "600",
    );
    const file = (controller: string, name: string): string =>
      readFileSync(`/sys/fs/cgroup/${controller}/docker/${id}/${name}`, "utf8").trim();
    expect(file("memory", "memory.limit_in_bytes")).toBe(String(64 << 20));
    expect(file("pids", "pids.max")).toBe("50");
    await docker("pause", id);
    expect(file("freezer", "freezer.state")).toBe("FROZEN");
    expect(await docker("inspect", "-f", "{{.State.Status}}", id)).toBe("paused");
    await docker("unpause", id);
    await docker(
      "update",
      "--memory",
      "128m",
      "--memory-swap",
      "256m",
      "--cpu-shares",
      "512",
      "--pids-limit",
      "60",
      id,
    );
    expect(file("memory", "memory.limit_in_bytes")).toBe(String(128 << 20));
    expect(file("cpu", "cpu.shares")).toBe("512");
    expect(file("pids", "pids.max")).toBe("60");
    expect(await docker("stats", "--no-stream", "--format", "{{.PIDs}}", id)).toBe("1");
    await docker("rm", "-f", id);
  });

  test("stop, start, restart, kill, wait, logs", async () => {
    const script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done";
    const id = await docker("run", "-d", ...alone, "busybox", "sh", "-c", script);
    await until(async () => (await docker("logs", id)) === "up", "the first line");
    await docker("stop", id);
    expect(await docker("wait", id)).toBe("3");
    await docker("start", id);
    await docker("restart", "-t", "2", id);
    await docker("kill", "-s", "KILL", id);
    expect(await docker("wait", id)).toBe("137");
    expect((await docker("logs", id)).split("\n").filter((line) => line === "up")).toHaveLength(3);
    await docker("rm", id);
  });

  test("a restart policy, an OOM kill", async () => {
    const id = await docker("run", "-d", "--restart", "on-failure:2", ...alone, "busybox", "false");
    await until(
      async () => (await docker("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", id)) === "2 exited",
      "two restarts",
    );
    const hog = await docker(
      "run",
      "-d",
      "--memory",
      "16m",
      ...alone,
      "busybox",
      "sh",
      "-c",
      "x=a; while :; do x=$x$x; done",
    );
    expect(await docker("wait", hog)).toBe("137");
    expect(await docker("inspect", "-f", "{{.State.OOMKilled}}", hog)).toBe("true");
    await docker("rm", id, hog);
  });

  test("volumes, read-only root, tmpfs, capabilities, init, user, hostname, privileged", async () => {
    const sh = async (flags: string[], script: string): Promise<string> =>
      docker("run", "--rm", ...flags, ...alone, "busybox", "sh", "-c", script);
    expect(
      await sh(
        ["-v", `${dir}:/v:ro`, "--read-only", "--tmpfs", "/t"],
        "touch /t/x && ! touch /v/x 2>&1 | grep -c Read-only; touch /y; echo $?",
      ),
    ).toContain("1");
    expect(
      await sh(["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], "grep CapEff /proc/self/status"),
    ).toContain("0000000000001000");
    expect(await sh(["--init"], "cat /proc/1/comm")).toBe("docker-init");
    expect(await sh(["-u", "33", "-h", "box"], "id -u; hostname")).toBe("33\nbox");
    expect(await sh(["--privileged"], "mkdir /m && mount -t tmpfs x /m && echo mounted")).toBe("mounted");
    expect(await sh(["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status")).toContain(
      "1",
    );
    expect(await sh(["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward")).toBe("1");
    expect(await sh(["--ulimit", "nofile=64:64"], "ulimit -n")).toBe("64");
  });

  test("inspect names the runtime; nothing stays", async () => {
    const id = await docker("run", "-d", ...alone, "busybox", "sleep", "600");
    expect(await docker("inspect", "-f", "{{.HostConfig.Runtime}}", id)).toBe("gantry");
    expect(await docker("ps", "-q", "--no-trunc")).toContain(id);
    await docker("rm", "-f", id);
    expect(await docker("ps", "-aq")).toBe("");
  });
});
