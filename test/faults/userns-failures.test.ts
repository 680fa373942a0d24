/**
 * A failure at every step on the way into a user namespace, in both processes: each may be waiting for the other just then.
 * As root: scripts/bun test test/faults/userns-failures.test.ts
 */
import { afterAll, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { encodePlan } from "../../src/runtime/encode-plan.ts";
import type { ContainerPlanInput, OciNamespace, Plan } from "../../src/runtime/index.ts";
import { planContainer } from "../../src/runtime/plan-container.ts";
import { isAlive, launchBytes } from "../system/native-harness.ts";
import { cgroupLeftovers, World } from "../system/runtime-world.ts";

const world = new World();
afterAll(() => world.cleanUp());

const types = ["mount", "pid", "network", "ipc", "cgroup", "time"] as const;
const uts = { type: "uts", path: "/proc/self/ns/uts" } as const;
const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const broken = { do: "write-file", path: "/no/such/file", data: "x" } as const;

function userPlan(namespaces: readonly OciNamespace[]): {
  readonly plan: Plan;
  readonly cgroupsPath: string;
} {
  const { overlay: _, ...base } = world.container({ args: ["true"] });
  const { hostname: __, ...config } = base.config;
  const input: ContainerPlanInput = {
    ...base,
    config: {
      ...config,
      root: { path: world.rootfs },
      mounts: [
        ...(config.mounts ?? []),
        { destination: "/mnt", type: "bind", source: world.dir, options: ["bind", "idmap"] },
      ],
      linux: { ...config.linux, namespaces, uidMappings: map, gidMappings: map },
    },
  };
  return { plan: planContainer(input).plan, cgroupsPath: base.cgroupsPath };
}

test.each([
  ["by the clone", [...types, "user" as const].map((type) => ({ type }))],
  [
    "after another was joined, with a fork into the pid namespace",
    [...[...types, "user" as const].map((type) => ({ type })), uts],
  ],
])(
  "a user namespace made %s",
  async (_, namespaces) => {
    const { plan, cgroupsPath } = userPlan(namespaces);
    const arrived = plan.container.findIndex((step) => step.do === "wait-parent");
    const places = [
      ...Array.from({ length: plan.monitor.length + 1 }, (__, at) => ({ section: "monitor", at }) as const),
      ...Array.from({ length: arrived + 2 }, (__, at) => ({ section: "container", at }) as const),
    ];
    for (const { section, at } of places) {
      const changed = {
        ...plan,
        [section]: [...plan[section].slice(0, at), broken, ...plan[section].slice(at)],
      };
      const stdio = [
        openSync("/dev/null", "r"),
        openSync("/dev/null", "w"),
        openSync("/dev/null", "w"),
      ] as const;
      const { control, pid } = await launchBytes(encodePlan(changed, { detach: true }), {
        mode: "run",
        stdio,
      });
      const index = section === "monitor" ? at : plan.monitor.length + at;
      expect({ section, at, ...(await control.failed()) }).toEqual({
        section,
        at,
        index,
        errno: 2,
        context: "open /no/such/file",
      });
      await control.closed();
      for (const fd of stdio) closeSync(fd);
      for (let i = 0; i < 400 && isAlive(pid); i++) await Bun.sleep(5);
      expect(isAlive(pid)).toBe(false);
      expect(cgroupLeftovers(cgroupsPath)).toEqual([]);
    }
  },
  60_000,
);
