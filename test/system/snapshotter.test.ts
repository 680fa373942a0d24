/** `gantry engine --snapshotter`: what an engine and its containers make of layers that are files. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, TestEngine } from "../lib/engine.ts";

const engine = new TestEngine("snapshotter");
const root = join(engine.dir, "lib");

function sh(script: string): string {
  const { status, stdout, stderr } = spawnSync("bash", ["-euc", script], { cwd: engine.dir });
  if (status !== 0) throw new Error(`${script}\n${stderr.toString()}`);
  return stdout.toString();
}

const mounts = (): number =>
  readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(` ${root}/lowers/`)).length;

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "busybox");
}, 60_000);

afterAll(() => engine.uninstall());

const usesFiles = (): boolean => engine.ok("info", "--format", "{{.Driver}}") === "erofs";

describe("containers on layers that are files", () => {
  test("a set-user-id file of an image works, an opened device does not outrank the container", () => {
    mkdirSync(join(engine.dir, "tree"));
    writeFileSync(
      join(engine.dir, "id.c"),
      "#include <unistd.h>\nint main(void) { return geteuid() ? 7 : 0; }\n",
    );
    sh("gcc -static -o tree/id id.c; chmod 4755 tree/id; tar -C tree -cf id.tar .");
    engine.ok("import", join(engine.dir, "id.tar"), "id");
    expect(engine.run(["run", "--rm", "-u", "1000", "id", "/id"]).code).toBe(0);
    expect(
      engine.run(["run", "--rm", "-u", "1000", "--security-opt", "no-new-privileges", "id", "/id"]).code,
    ).toBe(7);
  });

  test("inspect and info name the driver", () => {
    const driver = engine.ok("info", "--format", "{{.Driver}}");
    expect(["erofs", "overlay2"]).toContain(driver);
    expect(engine.ok("image", "inspect", "busybox", "--format", "{{.GraphDriver.Name}}")).toBe(driver);
    expect(engine.ok("info")).toContain(driver === "erofs" ? "EROFS files" : "directories");
  });

  test("twenty containers of one image share its mount", () => {
    if (!usesFiles()) return;
    for (let i = 0; i < 20; i++) engine.ok("run", "-d", "--name", `share-${i}`, "busybox", "sleep", "600");
    expect(mounts()).toBeLessThanOrEqual(2);
    expect(engine.ok("exec", "share-7", "grep", "-c", "lowers", "/proc/self/mounts")).toBe("1");
    for (let i = 1; i < 20; i++) engine.ok("rm", "-f", `share-${i}`);
  });

  test("the layers of what goes on stay mounted when the engine ends; the next one finds them", async () => {
    if (!usesFiles()) return;
    await engine.stop();
    expect(mounts()).toBe(1);
    await engine.start();
    expect(engine.ok("exec", "share-0", "ls", "/bin/busybox")).toBe("/bin/busybox");
    await engine.kill();
    await engine.start();
    expect(mounts()).toBe(1);
    engine.ok("rm", "-f", "share-0");
    await engine.stop();
    expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(`${root}/lowers`);
    await engine.start();
  });

  test("a layer that was cut off is told at the start of a container", () => {
    if (!usesFiles()) return;
    engine.ok("run", "--rm", "id", "/id");
    const [layer = ""] = engine
      .ok("image", "inspect", "id", "--format", "{{.GraphDriver.Data.UpperDir}}")
      .split("/")
      .slice(-1);
    engine.ok("rmi", "busybox");
    const file = join(root, "layers", layer, "layer.erofs");
    expect(existsSync(file)).toBe(true);
    truncateSync(file, 4096);
    // What is mounted is not looked at again: the engine starts anew.
    sh(`umount ${join(root, "lowers", layer)}`);
    const { code, err } = engine.run(["run", "--rm", "id", "/id"]);
    expect({ code, err }).toEqual({
      code: 125,
      err: expect.stringContaining("has been changed on disk"),
    });
    engine.ok("rmi", "id");
    expect(readdirSync(join(root, "lowers"))).toEqual([]);
  });
});

test("--snapshotter overlay makes directories beside the files, and both are used", async () => {
  engine.ok("image", "bootstrap", "busybox");
  const words = [binary, "engine", "--root", root, "--state", join(engine.dir, "run")];
  await engine.stop();
  const child = Bun.spawn([...words, "--snapshotter", "overlay"], { stdout: "pipe", stderr: "ignore" });
  try {
    await child.stdout.getReader().read();
    expect(engine.ok("info", "--format", "{{.Driver}}")).toBe("overlay2");
    sh("touch tree/other; tar -C tree -cf directory.tar .");
    engine.ok("import", join(engine.dir, "directory.tar"), "directory");
    expect(engine.ok("image", "inspect", "directory", "--format", "{{.GraphDriver.Name}}")).toBe("overlay2");
    expect(engine.run(["run", "--rm", "-u", "5", "directory", "/id"]).code).toBe(0);
    expect(engine.ok("run", "--rm", "busybox", "echo", "hi")).toBe("hi");
  } finally {
    child.kill();
    await child.exited;
  }
  await engine.start();
});

test("an unknown snapshotter is refused in words", () => {
  const { exitCode, stderr } = Bun.spawnSync([binary, "engine", "--snapshotter", "zfs"]);
  expect(exitCode).toBe(125);
  expect(stderr.toString()).toContain("auto, overlay or erofs is wanted");
});
