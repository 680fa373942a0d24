import { describe, expect, test } from "bun:test";
import { GantryError } from "../lib/index.ts";
import { cgroupRights, refuseUndelegated } from "./cgroup-rights.ts";
import { hybridLayout, v1Layout, v2Layout } from "./sample.test-data.ts";

/** Which directories exist, and whether they may be written to. */
const tree = (dirs: Readonly<Record<string, boolean>>) => (dir: string) => dirs[dir];

describe("the closest directory that exists decides", () => {
  const mounts = Object.fromEntries(
    Object.values({ ...v1Layout.controllers, unified: "/sys/fs/cgroup/unified" }).map((dir) => [dir, false]),
  );

  test("v1: only what was delegated stays", () => {
    const rights = cgroupRights(
      v1Layout,
      "/mine/c",
      tree({ ...mounts, "/sys/fs/cgroup/memory/mine": true, "/sys/fs/cgroup/pids/mine/c": true }),
    );
    expect(rights).toEqual({
      usable: { kind: "v1", controllers: { memory: "/sys/fs/cgroup/memory", pids: "/sys/fs/cgroup/pids" } },
      isNone: false,
    });
  });

  test("nothing at all: a layout that asks for nothing", () => {
    for (const layout of [v1Layout, hybridLayout, v2Layout])
      expect(cgroupRights(layout, "/c", () => false)).toEqual({
        usable: { kind: "v1", controllers: {} },
        isNone: true,
      });
  });

  test("v2 and hybrid stay what they are where cgroup2 is ours", () => {
    expect(cgroupRights(v2Layout, "/c", () => true).usable).toEqual(v2Layout);
    expect(cgroupRights(hybridLayout, "/c", () => true).usable).toEqual(hybridLayout);
  });

  test("a hierarchy that is not even mounted gives none", () => {
    expect(cgroupRights(v2Layout, "/c", () => undefined).isNone).toBe(true);
  });
});

describe("limits", () => {
  const rights = cgroupRights(v1Layout, "/c", tree({ "/sys/fs/cgroup/pids": true }));

  test("what can be set, and what is no limit, is fine", () => {
    refuseUndelegated(v1Layout, rights, {});
    refuseUndelegated(v1Layout, rights, { pids: { limit: 4 }, devices: [{ allow: false, access: "rwm" }] });
  });

  test("all others are named at once", () => {
    let thrown: unknown;
    try {
      refuseUndelegated(v1Layout, rights, {
        memory: { limit: 1 << 20 },
        cpu: { shares: 5 },
        pids: { limit: 4 },
      });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(GantryError);
    const { message, code } = thrown as GantryError;
    expect(code).toBe("denied");
    expect(message).toContain("linux.resources.memory");
    expect(message).toContain("linux.resources.cpu");
    expect(message).not.toContain("pids");
  });
});
