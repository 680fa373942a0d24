/**
 * Habits of runc that its callers and its own tests count on. As root: scripts/bun test test/system/oci-habits.test.ts
 */
import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { OciBundles } from "../lib/oci-bundle.ts";
import { ociRuntime, until } from "../lib/oci-world.ts";

const bundles = new OciBundles("habits");
const made: string[] = [];

afterAll(() => {
  for (const id of made) bundles.runtime("delete", "--force", id);
  bundles.cleanUp();
});

/** `create`, with nothing of ours as stdio. */
function created(): { readonly id: string; readonly pid: number } {
  const { id, dir } = bundles.bundle({ args: ["sleep", "1000"] });
  made.push(id);
  const ran = Bun.spawnSync([...bundles.command("create", "--bundle", dir, id)], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  expect(ran.exitCode).toBe(0);
  return { id, pid: stateOf(id).pid };
}

function stateOf(id: string): { readonly status: string; readonly pid: number } {
  return JSON.parse(bundles.runtime("state", id).out) as { status: string; pid: number };
}

test("installed as runc it calls itself runc", () => {
  const program = `${bundles.dir}/runc`;
  symlinkSync(ociRuntime, program);
  const say = (...words: string[]): string => {
    const { stdout, stderr } = Bun.spawnSync([program, "--root", `${bundles.dir}/state`, ...words]);
    return stdout.toString() + stderr.toString();
  };
  expect(say("--version")).toMatch(/^runc version \d+\.\d+\.\d+\n/);
  expect(say("-h")).toStartWith("NAME:\n   runc - Open Container Initiative runtime\n");
  expect(say("exec", "-h")).toContain("\nUSAGE:\n   runc exec ");
  expect(say("state")).toContain('runc: "state" requires exactly 1 argument(s)');
  expect(say("run", "--bundle", "/nonexistent", "x")).toStartWith("runc run failed: ");
});

test("a program that the kernel refuses is told of in the program's own words alone", () => {
  const root = bundles.rootfs();
  writeFileSync(`${root}/run.sh`, "#!/nonexistent\n");
  writeFileSync(`${root}/text`, "no program\n");
  for (const name of ["run.sh", "text"]) chmodSync(`${root}/${name}`, 0o755);
  expect(bundles.run({ args: ["/run.sh"], root: { path: root } })).toMatchObject({
    code: 1,
    err: "exec /run.sh: no such file or directory\n",
  });
  expect(bundles.run({ args: ["/text"], root: { path: root } }).err).toStartWith(
    "exec /text: exec format error\n",
  );
  expect(bundles.run({ args: ["/none"], root: { path: root } }).err).toContain(
    'run failed: unable to start container process: exec: "/none": stat /none: no such file or directory',
  );
});

test("a link to itself in one directory of PATH does not hide the program in the next", () => {
  const root = bundles.rootfs();
  mkdirSync(`${root}/loop`);
  symlinkSync("echo", `${root}/loop/echo`);
  const args = ["echo", "found"];
  expect(bundles.run({ args, root: { path: root }, process: { env: ["PATH=/loop:/bin"] } }).out).toBe(
    "found\n",
  );
  rmSync(`${root}/bin/echo`);
  expect(bundles.run({ args, root: { path: root }, process: { env: ["PATH=/loop:/bin"] } }).err).toContain(
    'exec: "echo": executable file not found in $PATH',
  );
});

test("a created container ends by SIGTERM", async () => {
  const { id } = created();
  expect(bundles.runtime("kill", id, "TERM").code).toBe(0);
  await until(() => stateOf(id).status === "stopped", "the end by SIGTERM");
});

test("a created container holds its stdio, sockets, the fifo, and a /proc of its own", () => {
  const { id, pid } = created();
  const held = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  for (const target of held) expect(target).toMatch(/^\/dev\/null$|^socket:|^\/$|\/exec\.fifo$/);
  expect(bundles.runtime("start", id).code).toBe(0);
  expect(readdirSync(`/proc/${pid}/fd`).length).toBeLessThan(held.length);
});

test("the program has the kernel's ways with signals, not those of the wait for start", async () => {
  const { id, pid } = created();
  expect(bundles.runtime("start", id).code).toBe(0);
  const status = await Bun.file(`/proc/${pid}/status`).text();
  expect(status).toMatch(/^SigCgt:\t0+$/m);
});

test("an id-mapped bind of what an earlier mount has brought into the root", () => {
  const root = bundles.rootfs();
  const source = `${bundles.dir}/mapped`;
  mkdirSync(`${source}/below`, { recursive: true });
  mkdirSync(`${root}/final`);
  const maps = {
    uidMappings: [{ containerID: 0, hostID: 7, size: 10 }],
    gidMappings: [{ containerID: 0, hostID: 8, size: 10 }],
  };
  const mounts = [
    { destination: "/mnt", type: "bind", source, options: ["rbind"] },
    { destination: "/final", type: "bind", source: `${root}/mnt/below`, options: ["rbind"], ...maps },
  ];
  const { out, err } = bundles.run({
    args: ["stat", "-c", "%u:%g", "/mnt/below", "/final"],
    root: { path: root },
    mounts,
  });
  expect(out, err).toBe("0:0\n7:8\n");
});
