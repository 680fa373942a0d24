/** What must never happen to gantry-init: a crash on a malformed plan, work done for a plan that did not arrive. Needs root. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";

import { encodePlan } from "../../src/runtime/encode-plan.ts";
import type { Failed } from "../../src/runtime/frames.ts";
import type { ContainerStep, Plan } from "../../src/runtime/plan-step.ts";
import { container, launchBytes, noSanitizerReports, Sandbox, type Talk } from "./native-harness.ts";

const program = "asan";

afterAll(noSanitizerReports);

/** Numbers that look random and are the same in every run (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

/** A plan that holds every shape of payload and does nothing on the host: its first step in the monitor fails. */
function samplePlan(box: Sandbox): Plan {
  const base = container(box, ["sh", "-c", "true"]);
  const more: ContainerStep[] = [
    { do: "ids", uid: 1, gid: 2, groups: [3, 4, 5] },
    {
      do: "netlink",
      protocol: 0,
      messages: [{ message: new Uint8Array(32), pidOffset: 16, description: "words" }],
    },
    { do: "overlay", target: "/a", lowers: ["/b", "/c"], upper: "/d", work: "/e", options: "x=y,z" },
    { do: "seccomp", program: new Uint8Array(16), flags: 0 },
    {
      do: "capabilities",
      sets: { bounding: 1n, effective: 2n, permitted: 3n, inheritable: 4n, ambient: 5n },
      phase: "set",
    },
  ];
  return {
    monitor: [{ do: "write-file", path: "/proc/version/none", data: "x" }, ...base.monitor],
    container: [...base.container.slice(0, -1), ...more, ...base.container.slice(-1)],
    teardown: [],
  };
}

/** The first frame, or undefined when the connection just ends. */
async function verdict(control: Talk): Promise<Failed | undefined> {
  await control.closed();
  return control.frames.flatMap((frame) => (frame.type === "failed" ? [frame.failed] : [])).at(0);
}

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

describe("malformed plans", () => {
  test("hundreds of mutations: refused or failing in a step, never a crash", async () => {
    using box = new Sandbox();
    const good = encodePlan(samplePlan(box), {
      statusPath: box.path("status"),
      terminal: { rows: 1, cols: 2 },
      attach: [],
    });
    const random = randomNumbers(20_261_124);
    let refused = 0;
    for (let round = 0; round < 400; round++) {
      const bytes = good.slice();
      for (let n = random(3) + 1; n > 0; n--) {
        const at = 8 + random(bytes.length - 8);
        const kind = random(4);
        if (kind === 0) bytes[at] = random(256);
        else if (kind === 1)
          bytes.set(
            u32([0, 1, 0xffffffff, 0x7fffffff, bytes.length, 5][random(6)] ?? 0).subarray(
              0,
              bytes.length - at,
            ),
            at,
          );
        else if (kind === 2) bytes.copyWithin(at, 8 + random(bytes.length - 8), bytes.length);
        else bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
      }
      const { control } = await launchBytes(bytes, { program });
      const failed = await verdict(control);
      // Whatever was changed, the end is a FAILED frame; the first step fails in a plan that is still well formed.
      if (failed === undefined)
        throw new Error(`round ${round}: no FAILED; ${control.frames.map((frame) => frame.type).join(" ")}`);
      if (failed.index === 0xffffffff) refused++;
    }
    expect(refused).toBeGreaterThan(100);
  }, 120_000);

  test.each([
    { name: "wrong magic", bytes: (good: Uint8Array) => Uint8Array.of(1, ...good.subarray(1)) },
    {
      name: "longer than 4 MiB",
      bytes: (good: Uint8Array) =>
        Uint8Array.of(...good.subarray(0, 4), ...u32(0x400001), ...good.subarray(8)),
    },
    {
      name: "record beyond the end",
      bytes: (good: Uint8Array) =>
        Uint8Array.of(
          ...good.subarray(0, 4),
          ...u32(good.length - 8 - 3),
          ...good.subarray(8, good.length - 3),
        ),
    },
    { name: "empty", bytes: (good: Uint8Array) => Uint8Array.of(...good.subarray(0, 4), ...u32(0)) },
  ])("$name is refused", async ({ bytes }) => {
    using box = new Sandbox();
    const { control } = await launchBytes(bytes(encodePlan(container(box, ["true"]), { attach: [] })), {
      program,
    });
    expect(await verdict(control)).toMatchObject({ index: 0xffffffff, errno: 22 });
  });

  test.each([
    { name: "no clone", change: (plan: Plan): Plan => ({ ...plan, monitor: [] }) },
    {
      name: "two clones",
      change: (plan: Plan): Plan => ({ ...plan, monitor: [...plan.monitor, ...plan.monitor] }),
    },
    { name: "no exec", change: (plan: Plan): Plan => ({ ...plan, container: plan.container.slice(0, -1) }) },
    {
      name: "a step behind exec",
      change: (plan: Plan): Plan => ({ ...plan, container: [...plan.container, { do: "set-session" }] }),
    },
    {
      name: "a pid namespace joined after wait-parent",
      change: (plan: Plan): Plan => ({
        ...plan,
        container: [
          { do: "wait-parent" },
          { do: "join-namespaces", pid: 1, startTime: 1n, flags: 0x20000000n },
          ...plan.container,
        ],
      }),
    },
  ])("$name is refused", async ({ change }) => {
    using box = new Sandbox();
    const { control } = await launchBytes(encodePlan(change(container(box, ["true"])), { attach: [] }), {
      program,
    });
    expect(await verdict(control)).toMatchObject({ index: 0xffffffff, errno: 22 });
  });
});

describe.each([0, 5, 8, 40, -1])("a plan of which %d bytes arrive", (count) => {
  test("does nothing and says nothing", async () => {
    using box = new Sandbox();
    const plan = container(box, ["true"], {
      before: [{ do: "make-dir", path: box.path("made"), mode: 0o700, parents: false }],
    });
    const bytes = encodePlan(plan, { statusPath: box.path("status"), attach: [] });
    const { control } = await launchBytes(bytes.subarray(0, count < 0 ? bytes.length + count : count), {
      program,
    });
    control.channel.close();
    await Bun.sleep(150);
    expect(control.frames).toEqual([]);
    expect(existsSync(box.path("made"))).toBe(false);
    expect(existsSync(box.path("status"))).toBe(false);
  });
});

test("a plan that has arrived goes on when its sender goes", async () => {
  using box = new Sandbox();
  const bytes = encodePlan(container(box, ["true"]), { statusPath: box.path("status"), attach: [] });
  const { control } = await launchBytes(bytes, { program });
  control.channel.close();
  for (let i = 0; i < 200; i++) {
    await Bun.sleep(10);
    if (existsSync(box.path("status")) && readFileSync(box.path("status"), "utf8").startsWith("exited 0 "))
      return;
  }
  throw new Error("the container was not run");
});
