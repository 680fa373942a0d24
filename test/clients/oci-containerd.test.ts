/** Debian's containerd and its shim with gantry-oci as their runc, used by the real ctr command. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  endDaemon,
  makeImageArchive,
  mustRun,
  ociRuntime,
  removeEmptyCgroups,
  runCommand,
  until,
} from "../lib/oci-world.ts";

setDefaultTimeout(60_000);

const missing = ["containerd", "ctr", "containerd-shim-runc-v2"].filter((name) => Bun.which(name) === null);
if (missing.length > 0) process.stdout.write(`oci-containerd.test.ts skipped: no ${missing.join(", ")}\n`);

const image = "docker.io/library/busybox:latest";
let dir = "";
let daemon: Bun.Subprocess | undefined;
const client = (): string[] => ["ctr", "-a", `${dir}/c.sock`, "-n", "gantrytest"];
const ctr = (...words: string[]): Promise<string> => mustRun([...client(), ...words]);
const run = (flags: readonly string[], id: string, ...command: string[]): string[] => [
  ...client(),
  "run",
  "--runc-binary",
  ociRuntime,
  ...flags,
  image,
  id,
  ...command,
];

beforeAll(async () => {
  if (missing.length > 0) return;
  dir = mkdtempSync("/tmp/gantry-ctrd-");
  const config = `version = 2\nroot = "${dir}/root"\nstate = "${dir}/state"\n[grpc]\naddress = "${dir}/c.sock"\n`;
  writeFileSync(join(dir, "config.toml"), `${config}[ttrpc]\naddress = "${dir}/t.sock"\n`);
  daemon = Bun.spawn(["containerd", "-c", join(dir, "config.toml")], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(join(dir, "log")),
  });
  await until(
    async () => (await runCommand([...client(), "version"])).code === 0,
    "containerd's first answer",
  );
  await makeImageArchive(join(dir, "image.tar"));
  await ctr("images", "import", join(dir, "image.tar"));
}, 120_000);

afterAll(async () => {
  if (missing.length > 0) return;
  for (const id of (await ctr("tasks", "ls", "-q")).split("\n").filter((word) => word !== ""))
    await ctr("tasks", "rm", "-f", id);
  for (const id of (await ctr("containers", "ls", "-q")).split("\n").filter((word) => word !== ""))
    await ctr("containers", "rm", id);
  await endDaemon(daemon);
  await removeEmptyCgroups("gantrytest");
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

describe.skipIf(missing.length > 0)("ctr", () => {
  test("output and exit code", async () => {
    const ran = await runCommand(run(["--rm"], "c1", "sh", "-c", "echo hi; echo err >&2; exit 7"));
    expect(ran).toMatchObject({ code: 7, out: "hi\n" });
    expect(ran.err).toContain("err");
  });

  test("a failing start says what failed", async () => {
    const ran = await runCommand(run(["--rm"], "c2", "/no/such/command"));
    expect(ran.code).not.toBe(0);
    expect(ran.err).toContain("/no/such/command");
  });

  test("detached: exec, ps, pause, resume, metrics, signals", async () => {
    await mustRun(run(["-d", "--memory-limit", String(64 << 20)], "c3", "sleep", "600"));
    const exec = (...words: string[]): Promise<{ code: number; out: string }> =>
      runCommand([...client(), "tasks", "exec", "--exec-id", "e1", "c3", ...words]);
    expect(await exec("sh", "-c", "echo in; exit 5")).toMatchObject({ code: 5, out: "in\n" });
    expect(await ctr("tasks", "ls")).toMatch(/c3\s+\d+\s+RUNNING/);
    await ctr("tasks", "pause", "c3");
    expect(await ctr("tasks", "ls")).toMatch(/c3\s+\d+\s+PAUSED/);
    await ctr("tasks", "resume", "c3");
    expect(await ctr("tasks", "ps", "c3")).toMatch(/\d+/);
    expect(await ctr("tasks", "metrics", "c3")).toContain("memory");
    const pid = /c3\s+(\d+)/.exec(await ctr("tasks", "ls"))?.[1] ?? "";
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain("gantrytest/c3");
    await ctr("tasks", "kill", "-s", "SIGKILL", "c3");
    await until(async () => (await ctr("tasks", "ls")).includes("STOPPED"), "the end of c3");
    await ctr("tasks", "rm", "c3").catch(() => undefined);
    await ctr("containers", "rm", "c3");
  });

  test("containerd ends and comes back: the task goes on", async () => {
    await mustRun(run(["-d"], "c4", "sleep", "600"));
    daemon?.kill("SIGKILL");
    await daemon?.exited;
    daemon = Bun.spawn(["containerd", "-c", join(dir, "config.toml")], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(dir, "log2")),
    });
    await until(async () => (await runCommand([...client(), "version"])).code === 0, "containerd's answer");
    await until(async () => /c4\s+\d+\s+RUNNING/.test(await ctr("tasks", "ls")), "the task to be found");
    await ctr("tasks", "rm", "-f", "c4");
    await ctr("containers", "rm", "c4");
  });
});
