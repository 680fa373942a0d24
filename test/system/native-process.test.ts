/** gantry-init's steps on how a process is treated, also with sanitizers. Needs root and busybox-static. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { compileSeccomp } from "../../src/kernel/index.ts";
import type { ContainerStep } from "../../src/runtime/plan-step.ts";
import { all, container, launch, noSanitizerReports, type Pieces, Sandbox } from "./native-harness.ts";

const dir = mkdtempSync("/tmp/gantry-native-process-");

beforeAll(() => {
  const built = Bun.spawnSync([
    "cc",
    "-O1",
    "-o",
    `${dir}/agent`,
    resolve(import.meta.dir, "seccomp-agent.c"),
  ]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
});
afterAll(() => {
  rmSync(dir, { recursive: true });
  noSanitizerReports();
});

const asks = (path: string): ContainerStep => {
  const { program, flags } = compileSeccomp({
    defaultAction: "SCMP_ACT_ALLOW",
    listenerPath: path,
    syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
  });
  return { do: "seccomp-listener", program, flags, path, state: ['{"pid":', ',"again":', "}"] };
};

describe.each(["plain", "asan"] as const)("steps (%s)", (program) => {
  async function shell(box: Sandbox, script: string, pieces: Pieces): Promise<string> {
    const plan = container(box, ["sh", "-c", `(${script}) 2>&1`], pieces);
    const { control, attached } = await launch(plan, { program, attach: [all] });
    await control.exited();
    await attached[0]?.exited();
    return attached[0]?.output() ?? "";
  }

  test("scheduler, priorities, execution domain and processors are inherited by the program", async () => {
    using box = new Sandbox();
    const zero = { priority: 0, flags: 0n, runtime: 0n, deadline: 0n, period: 0n };
    const late: ContainerStep[] = [
      { do: "scheduler", policy: 3, nice: 4, ...zero },
      { do: "io-priority", value: (2 << 13) | 5 },
      { do: "personality", value: 8 },
      { do: "memory-policy", mode: 0, nodes: new Uint8Array() },
      { do: "cpu-affinity", cpus: Uint8Array.of(1) },
      { do: "cpu-affinity", cpus: new Uint8Array() },
      { do: "keyring", name: "_ses.native", rights: 0x80000, label: "" },
      { do: "security-label", module: "apparmor", label: "unconfined" },
    ];
    const lines = await shell(box, "/bin/busybox uname -m; grep ^policy /proc/self/sched", { late });
    expect(lines).toMatch(/^i686\npolicy\s+:\s+3\n$/);
  });

  test.each([
    [{ do: "cpu-affinity", cpus: new Uint8Array(2000) }, 22, "processors"],
    [{ do: "memory-policy", mode: 2, nodes: new Uint8Array(500) }, 22, "memory nodes"],
    [{ do: "io-priority", value: 7 << 13 }, 22, "set the I/O priority"],
    [
      { do: "seccomp-listener", program: new Uint8Array(7), flags: 0, path: "/x", state: [] },
      22,
      "seccomp program",
    ],
    [{ do: "security-label", module: "selinux", label: "x" }, 95, "SELinux is disabled or not supported"],
  ] as const)("what it cannot be is refused: %#", async (step, errno, context) => {
    using box = new Sandbox();
    const { control } = await launch(container(box, ["true"], { late: [step] }), { program });
    expect(await control.failed()).toMatchObject({ errno, context });
  });

  test("a filter's listener gets the fd and the pid, the program its answers", async () => {
    using box = new Sandbox();
    const folder = `${dir}/${program}`;
    mkdirSync(folder);
    const agent = Bun.spawn([`${dir}/agent`, `${folder}/s`, folder, "28"]);
    try {
      await Bun.sleep(200);
      const output = await shell(box, "mkdir /tmp/x", { late: [asks(`${folder}/s`)] });
      expect(output).toContain("No space left on device");
      const told = JSON.parse(readFileSync(`${folder}/0`, "utf8")) as { pid: number; again: number };
      expect(told.pid).toBeGreaterThan(1);
      expect(told.again).toBe(told.pid);
    } finally {
      agent.kill();
      await agent.exited;
    }
  });

  test("without anybody who listens nothing is started, and the step is named", async () => {
    using box = new Sandbox();
    const { control } = await launch(container(box, ["true"], { late: [asks(`${dir}/nobody`)] }), {
      program,
    });
    expect(await control.failed()).toMatchObject({
      errno: 2,
      context: `failed to connect with seccomp agent ${dir}/nobody`,
    });
  });

  test("a device that is missing is named", async () => {
    using box = new Sandbox();
    const step = { do: "move-device", name: "gt-nothing", inside: "eth0", namespace: "" } as const;
    const { control } = await launch(container(box, ["true"], { monitor: [step] }), { program });
    expect(await control.failed()).toMatchObject({ errno: 19, context: "gt-nothing" });
  });
});
