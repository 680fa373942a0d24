/** No space left, in a build and in a container's log: clear errors, and the engine is healthy afterwards. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestEngine } from "../lib/engine.ts";

/** A data directory on a file system of 64 MB. */
const disk = mkdtempSync("/tmp/gantry-disk-");
const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64m", "gantry-test-disk", disk]);
const engine = new TestEngine("full", join(disk, "lib"));

const freeBytes = (): number => {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
};

beforeAll(async () => {
  expect(mounted.exitCode).toBe(0);
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
}, 120_000);

afterAll(async () => {
  await engine.uninstall();
  Bun.spawnSync(["umount", disk]);
  rmdirSync(disk);
}, 120_000);

test("a RUN that fills the disk fails with a clear error, leaves nothing, and the engine goes on", () => {
  const before = freeBytes();
  const built = engine.run(["build", "-t", "big", "-"], {
    stdin: "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=200\n",
  });
  expect(built.code).not.toBe(0);
  expect(built.out + built.err).toContain("No space left on device");
  expect(engine.run(["image", "inspect", "big"]).code).toBe(1);
  expect(Math.abs(freeBytes() - before)).toBeLessThan(2 << 20);
  expect(engine.ok("run", "--rm", "busybox", "echo", "healthy")).toBe("healthy");
});

test("a COPY that does not fit names the step and what to do", () => {
  const context = mkdtempSync(join(engine.dir, "context-"));
  mkdirSync(join(context, "d"));
  writeFileSync(join(context, "Dockerfile"), "FROM busybox\nCOPY d /d\n");
  writeFileSync(join(context, "d/large"), Buffer.alloc(100 << 20, 1));
  const before = freeBytes();
  const built = engine.run(["build", context]);
  expect(built.code).not.toBe(0);
  expect(built.err).toMatch(/no space left/i);
  expect(built.err).toContain("hint");
  expect(Math.abs(freeBytes() - before)).toBeLessThan(2 << 20);
  expect(engine.ok("run", "--rm", "busybox", "echo", "healthy")).toBe("healthy");
});

test("a log that cannot be written costs lines, not the container, and goes on when there is space", async () => {
  const filler = join(disk, "filler");
  engine.ok(
    "run",
    "-d",
    "--name",
    "talker",
    "busybox",
    "sh",
    "-c",
    "while :; do echo 0123456789; usleep 1000; done",
  );
  Bun.spawnSync(["dd", "if=/dev/zero", `of=${filler}`, "bs=1M", "count=100"], { stderr: "ignore" });
  await Bun.sleep(1000);
  expect(engine.ok("inspect", "-f", "{{.State.Running}}", "talker")).toBe("true");
  expect(engine.run(["run", "--rm", "busybox", "true"]).err).toMatch(/no space left/i);
  Bun.spawnSync(["rm", filler]);
  await Bun.sleep(500);
  const after = engine.ok("logs", "--tail", "5", "talker").split("\n");
  expect(after).toEqual(Array.from({ length: 5 }, () => "0123456789"));
  expect(engine.ok("run", "--rm", "busybox", "echo", "healthy")).toBe("healthy");
  engine.ok("rm", "-f", "talker");
}, 60_000);
