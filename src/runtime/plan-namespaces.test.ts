import { describe, expect, test } from "bun:test";
import { cloneFlags as c } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import type { OciConfig, OciLinux, OciNamespace, OciUser } from "./oci-types.ts";
import { becauseOf, type Rootless } from "./plan-input.ts";
import { memberFlags, planNamespaces } from "./plan-namespaces.ts";

const because = becauseOf();
const maps = {
  uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  gidMappings: [{ containerID: 0, hostID: 200_000, size: 65_536 }],
};
const others = (["mount", "pid", "network", "ipc", "uts", "cgroup"] as const).map((type) => ({ type }));
const withUser: readonly OciNamespace[] = [...others, { type: "user" }];

function config(linux: Partial<OciLinux>, user: OciUser = { uid: 0, gid: 0 }): OciConfig {
  return { ociVersion: "1.3.0", process: { cwd: "/", args: ["sh"], user }, linux };
}

function refusal(value: OciConfig, rootless?: Rootless): GantryError {
  try {
    planNamespaces(value, because, { rootless });
  } catch (error) {
    if (error instanceof GantryError) return error;
    throw error;
  }
  throw new Error("it was planned");
}

describe("clone flags and first steps", () => {
  const every = c.CLONE_NEWNS | c.CLONE_NEWPID | c.CLONE_NEWNET | c.CLONE_NEWIPC | c.CLONE_NEWUTS;
  const early = c.CLONE_NEWUSER | c.CLONE_NEWNS | c.CLONE_NEWPID | c.CLONE_NEWUTS;

  test.each([
    ["without a user namespace all are made by the clone", config({ namespaces: others }), every, []],
    [
      "with one its root makes those whose files have an owner",
      config({ namespaces: withUser, ...maps }),
      early,
      ["user-namespace", "unshare", "namespaces-ready"],
    ],
    [
      "with a path, it is made once that was joined with the host's rights, and the rest in it",
      config({
        namespaces: [...withUser.filter(({ type }) => type !== "network"), { type: "network", path: "/n" }],
        ...maps,
      }),
      0n,
      ["join-paths", "user-namespace", "unshare", "namespaces-ready"],
    ],
    [
      "joined by path, the rest is made in it",
      config({ namespaces: [...others, { type: "user", path: "/u" }] }),
      0n,
      ["join-paths", "user-namespace", "unshare", "namespaces-ready"],
    ],
    [
      "a time namespace is made by the child, for its offsets",
      config({ namespaces: [{ type: "mount" }, { type: "time" }], timeOffsets: { monotonic: { secs: -5 } } }),
      c.CLONE_NEWNS,
      ["time-namespace"],
    ],
  ] as const)("%s", (_, value, flags, steps) => {
    const planned = planNamespaces(value, because);
    expect(planned.cloneFlags).toBe(flags);
    expect(planned.join.map((step) => step.do)).toEqual([...steps]);
  });

  test("offsets as the kernel's file takes them", () => {
    const timeOffsets = { monotonic: { secs: -5, nanosecs: 3 }, boottime: { secs: 7 } };
    const { join } = planNamespaces(
      config({ namespaces: [{ type: "mount" }, { type: "time" }], timeOffsets }),
      because,
    );
    expect(join).toMatchObject([{ do: "time-namespace", offsets: "monotonic -5 3\nboottime 7 0\n" }]);
  });

  test("a cgroup namespace is left to its time, unless it is joined", () => {
    expect(planNamespaces(config({ namespaces: others }), because).newCgroup).toBe(true);
    const joined = config({ namespaces: [{ type: "mount" }, { type: "cgroup", path: "/c" }] });
    expect(planNamespaces(joined, because)).toMatchObject({
      newCgroup: false,
      join: [{ do: "join-paths", namespaces: [{ path: "/c", flag: c.CLONE_NEWCGROUP }] }],
    });
  });

  test("exec joins every type that is listed", () => {
    expect(memberFlags(config({ namespaces: [{ type: "mount" }, { type: "user" }] }))).toBe(
      c.CLONE_NEWNS | c.CLONE_NEWUSER,
    );
  });
});

describe("id maps", () => {
  test("root writes them; what the program gets belongs to its host ids", () => {
    const { monitor, join } = planNamespaces(
      config({ namespaces: withUser, ...maps }, { uid: 33, gid: 44 }),
      because,
    );
    expect(monitor).toMatchObject([
      {
        do: "id-maps",
        uids: "0 100000 65536\n",
        gids: "0 200000 65536\n",
        isUnshared: false,
        deniesGroups: false,
        owner: { uid: 100_033, gid: 200_044 },
      },
    ]);
    expect(join[0]).toMatchObject({ do: "user-namespace", uid: 0, gid: 0, kind: "born" });
  });

  test("none are written for one that is joined", () => {
    const { monitor, join } = planNamespaces(
      config({ namespaces: [{ type: "mount" }, { type: "user", path: "/u" }], ...maps }),
      because,
    );
    expect(monitor).toMatchObject([{ do: "id-maps", uids: "", gids: "" }]);
    expect(join[1]).toMatchObject({ do: "user-namespace", kind: "joined" });
  });

  const ordinary: Rootless = { uid: 1000, gid: 1001 };
  const ownIds = {
    uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 1001, size: 1 }],
  };

  test("an ordinary user writes its own id, and gives up setgroups for it", () => {
    const { monitor } = planNamespaces(config({ namespaces: withUser, ...ownIds }), because, {
      rootless: ordinary,
    });
    expect(monitor).toMatchObject([{ deniesGroups: true }]);
    expect(monitor[0]).not.toHaveProperty("newuidmap");
  });

  test("and has newuidmap and newgidmap write ranges", () => {
    const tools = { newuidmap: "/usr/bin/newuidmap", newgidmap: "/usr/bin/newgidmap" };
    const { monitor } = planNamespaces(config({ namespaces: withUser, ...maps }), because, {
      rootless: {
        ...ordinary,
        ...tools,
      },
    });
    expect(monitor).toMatchObject([{ deniesGroups: false, ...tools }]);
  });

  test.each([
    ["ranges without newuidmap", config({ namespaces: withUser, ...maps }), "linux.uidMappings", ordinary],
    [
      "a group range without newgidmap",
      config({ namespaces: withUser, ...ownIds, gidMappings: maps.gidMappings }),
      "linux.gidMappings",
      ordinary,
    ],
    [
      "no user namespace",
      config({ namespaces: others }),
      "rootless container requires user namespaces",
      ordinary,
    ],
    [
      "further groups with its own group alone",
      config({ namespaces: withUser, ...ownIds }, { uid: 0, gid: 0, additionalGids: [0] }),
      "additionalGids",
      ordinary,
    ],
    ["no maps", config({ namespaces: withUser }), "linux.uidMappings", undefined],
    [
      "an unmapped user",
      config({ namespaces: withUser, ...maps }, { uid: 70_000, gid: 0 }),
      "process.user.uid: 70000",
      undefined,
    ],
    [
      "an unmapped group",
      config({ namespaces: withUser, ...maps }, { uid: 0, gid: 70_000 }),
      "process.user.gid: 70000",
      undefined,
    ],
    [
      "an unmapped group of a mount",
      {
        ...config({ namespaces: withUser, ...maps }),
        mounts: [{ destination: "/dev/pts", type: "devpts", options: ["gid=70000"] }],
      },
      "/dev/pts: gid=70000",
      undefined,
    ],
  ] as const)("%s is refused", (_, value, words, rootless) => {
    const error = refusal(value, rootless);
    expect(error.message).toContain(words);
    expect(error.hint).toBeString();
  });
});
