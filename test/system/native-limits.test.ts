/** gantry-init's steps on limits, on files that stand in for a cgroup's, also with sanitizers. Needs root and busybox-static. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import type { MonitorStep } from "../../src/runtime/plan-step.ts";
import { all, container, launch, noSanitizerReports, Sandbox } from "./native-harness.ts";

afterAll(noSanitizerReports);

describe.each(["plain", "asan"] as const)("steps (%s)", (program) => {
  /** Runs the steps before a container that ends at once. */
  async function run(box: Sandbox, ...before: readonly MonitorStep[]): Promise<number> {
    const { control } = await launch(container(box, ["true"], { before }), { program, attach: [all] });
    return (await control.exited()).exitCode;
  }
  async function refused(
    box: Sandbox,
    step: MonitorStep,
  ): Promise<{ readonly errno: number; readonly context: string }> {
    const { control } = await launch(container(box, ["true"], { before: [step] }), {
      program,
      attach: [all],
    });
    return await control.failed();
  }
  const limit = (dir: string, missingIsFine: boolean, ...files: readonly string[]): MonitorStep => ({
    do: "limit",
    dir,
    files,
    values: files.map((_, index) => String(index + 1)),
    missingIsFine,
  });

  test("limit: into the first file that is there, and never into a new one", async () => {
    using box = new Sandbox();
    const dir = `${box.dir}/cg`;
    mkdirSync(dir);
    writeFileSync(`${dir}/b`, "");
    writeFileSync(`${dir}/c`, "");
    expect(await run(box, limit(dir, false, "a", "b", "c"), limit(dir, true, "x", "y"))).toBe(0);
    expect(readFileSync(`${dir}/b`, "utf8")).toBe("2");
    expect(readFileSync(`${dir}/c`, "utf8")).toBe("");
    expect(existsSync(`${dir}/x`)).toBe(false);
  });

  test("limit: without any of them, or without the directory, an error that names one", async () => {
    using box = new Sandbox();
    expect(await refused(box, limit(box.dir, false, "no-a", "no-b"))).toMatchObject({
      errno: 2,
      context: expect.stringContaining("no-b"),
    });
    expect(await refused(box, limit(`${box.dir}/no-dir`, true, "a"))).toMatchObject({ errno: 2 });
  });

  test("fill-cpuset: what is empty gets its parent's, what is not stays", async () => {
    using box = new Sandbox();
    const sets: readonly (readonly [string, string, string])[] = [
      ["", "0-3\n", "0\n"],
      ["/a", "0-1\n", "\n"],
      ["/a/b", "\n", ""],
    ];
    for (const [path, cpus, mems] of sets) {
      mkdirSync(`${box.dir}/set${path}`);
      writeFileSync(`${box.dir}/set${path}/cpuset.cpus`, cpus);
      writeFileSync(`${box.dir}/set${path}/cpuset.mems`, mems);
    }
    expect(await run(box, { do: "fill-cpuset", mount: `${box.dir}/set`, path: "/a/b" })).toBe(0);
    const at = (path: string): readonly string[] =>
      ["cpus", "mems"].map((file) => readFileSync(`${box.dir}/set${path}/cpuset.${file}`, "utf8").trim());
    expect([at("/a"), at("/a/b")]).toEqual([
      ["0-1", "0"],
      ["0-1", "0"],
    ]);
    expect(await refused(box, { do: "fill-cpuset", mount: `${box.dir}/set`, path: "/a/none" })).toMatchObject(
      { errno: 2 },
    );
  });

  test("cgroup-owner: the directory and what the kernel lets be delegated, nothing else", async () => {
    using box = new Sandbox();
    const dir = `${box.dir}/own`;
    mkdirSync(dir);
    for (const file of ["cgroup.procs", "cgroup.subtree_control", "memory.max"])
      writeFileSync(`${dir}/${file}`, "");
    expect(await run(box, { do: "cgroup-owner", dir, uid: 100_000 })).toBe(0);
    const owner = (file: string): number => statSync(`${dir}/${file}`).uid;
    expect(["", "cgroup.procs", "cgroup.subtree_control", "memory.max"].map(owner)).toEqual([
      100_000, 100_000, 100_000, 0,
    ]);
  });

  test("warm-program: a program, no matter what else has its name", async () => {
    using box = new Sandbox();
    const root = `${box.dir}/warm`;
    mkdirSync(`${root}/dir`, { recursive: true });
    symlinkSync("/proc/self/exe", `${root}/link`);
    symlinkSync("../../../etc/passwd", `${root}/out`);
    Bun.spawnSync(["mkfifo", `${root}/fifo`]);
    writeFileSync(`${root}/tool`, "x", { mode: 0o755 });
    const files = ["none", "dir", "link", "out", "fifo", "tool"];
    expect(await run(box, { do: "warm-program", root, files })).toBe(0);
    expect(await run(box, { do: "warm-program", root: `${root}/none`, files })).toBe(0);
  });
});
