/** Debian's podman and its conmon with gantry-oci as their runtime. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  makeImageArchive,
  mustRun,
  ociRuntime,
  type Ran,
  removeEmptyCgroups,
  runCommand,
  until,
} from "../lib/oci-world.ts";

setDefaultTimeout(60_000);

const missing = ["podman", "conmon"].filter((name) => Bun.which(name) === null);
if (missing.length > 0) process.stdout.write(`oci-podman.test.ts skipped: no ${missing.join(", ")}\n`);

let dir = "";
const client = (): string[] => [
  "podman",
  "--root",
  join(dir, "root"),
  "--runroot",
  join(dir, "run"),
  "--tmpdir",
  join(dir, "tmp"),
  "--cgroup-manager",
  "cgroupfs",
  "--events-backend",
  "file",
  "--runtime",
  ociRuntime,
];
const podman = (...words: string[]): Promise<string> => mustRun([...client(), ...words]);
const tryPodman = (words: string[], stdin?: string): Promise<Ran> =>
  runCommand([...client(), ...words], stdin);
/** Debian's podman asks for limits that this machine's root may not set. */
const flags = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

beforeAll(async () => {
  if (missing.length > 0) return;
  dir = mkdtempSync("/tmp/gantry-podman-");
  await makeImageArchive(join(dir, "image.tar"));
  await podman("load", "-i", join(dir, "image.tar"));
}, 120_000);

afterAll(async () => {
  if (missing.length > 0) return;
  await podman("rm", "-af", "-t", "0");
  await runCommand(["umount", "-l", join(dir, "root/overlay")]);
  await removeEmptyCgroups("libpod_parent");
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

describe.skipIf(missing.length > 0)("podman", () => {
  test("input, output and exit code", async () => {
    const ran = await tryPodman(
      ["run", "--rm", "-i", ...flags, "busybox", "sh", "-c", "cat; echo err >&2; exit 7"],
      "hi",
    );
    expect(ran).toEqual({ code: 7, out: "hi", err: "err\n" });
  });

  test("a terminal", async () => {
    expect(await podman("run", "--rm", "-t", ...flags, "busybox", "tty")).toBe("/dev/pts/0");
  });

  test("a command that is not there ends with 127", async () => {
    const ran = await tryPodman(["run", "--rm", ...flags, "busybox", "/no/such/command"]);
    expect(ran.code).toBe(127);
    expect(ran.err).toContain("/no/such/command");
  });

  test("exec, pause, limits, kill, logs", async () => {
    const id = await podman(
      "run",
      "-d",
      "--memory",
      "64m",
      ...flags,
      "busybox",
      "sh",
      "-c",
      "echo up; exec sleep 600",
    );
    const exec = await tryPodman(["exec", "-u", "12:34", "-w", "/tmp", id, "sh", "-c", "id -u; pwd; exit 5"]);
    expect(exec).toMatchObject({ code: 5, out: "12\n/tmp\n" });
    expect((await tryPodman(["exec", "-i", id, "cat"], "through")).out).toBe("through");
    expect(await podman("exec", "-t", id, "tty")).toMatch(/^\/dev\/pts\/\d/);
    await podman("pause", id);
    expect(await podman("ps", "-a", "--format", "{{.Status}}")).toContain("Paused");
    await podman("unpause", id);
    const pid = await podman("inspect", "-f", "{{.State.Pid}}", id);
    const group = /:memory:(.*)/.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";
    const limit = readFileSync(`/sys/fs/cgroup/memory${group}/memory.limit_in_bytes`, "utf8").trim();
    expect(limit).toBe(String(64 << 20));
    await until(async () => (await podman("logs", id)) === "up", "the first line");
    await podman("kill", id);
    expect(await podman("wait", id)).toBe("137");
    await podman("rm", "-f", id);
  });

  test("stop, start, restart", async () => {
    const script = "trap 'exit 3' TERM; while :; do sleep 0.1; done";
    const id = await podman("run", "-d", ...flags, "busybox", "sh", "-c", script);
    await podman("stop", "-t", "5", id);
    expect(await podman("inspect", "-f", "{{.State.ExitCode}}", id)).toBe("3");
    await podman("start", id);
    await podman("restart", "-t", "1", id);
    expect(await podman("inspect", "-f", "{{.State.Status}}", id)).toBe("running");
    await podman("rm", "-f", "-t", "0", id);
  });

  test("user namespace, read-only root, volumes, capabilities", async () => {
    const sh = (more: string[], script: string): Promise<string> =>
      podman("run", "--rm", ...more, ...flags, "busybox", "sh", "-c", script);
    expect(
      await sh(["--uidmap", "0:100000:5000", "--gidmap", "0:100000:5000"], "cat /proc/self/uid_map; id -u"),
    ).toMatch(/0\s+100000\s+5000\n0/);
    expect(await sh(["--read-only", "-v", `${dir}:/v:ro`], "touch /x; touch /v/y; echo done")).toBe("done");
    expect(
      await sh(["--cap-drop", "all", "--cap-add", "NET_ADMIN"], "grep CapEff /proc/self/status"),
    ).toContain("0000000000001000");
  });

  test("a pod of two shares its namespaces", async () => {
    const first = await podman(
      "run",
      "-d",
      "--name",
      "first",
      "--ipc",
      "shareable",
      ...flags,
      "busybox",
      "sleep",
      "600",
    );
    const network = await podman(
      "run",
      "--rm",
      "--network",
      "container:first",
      "--pid",
      "container:first",
      ...flags.slice(2),
      "busybox",
      "ps",
    );
    expect(network).toContain("sleep 600");
    await podman("rm", "-f", "-t", "0", first);
  });
});
