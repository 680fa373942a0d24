/** gantry-init's steps on namespaces that have owners, also with sanitizers. Needs root and busybox-static. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { cloneFlags } from "../../src/kernel/index.ts";
import type { ContainerStep, IdMapsStep, Plan } from "../../src/runtime/plan-step.ts";
import { all, container, launch, noSanitizerReports, type Pieces, Sandbox } from "./native-harness.ts";

afterAll(noSanitizerReports);

const maps: IdMapsStep = {
  do: "id-maps",
  uids: "0 100000 1000\n",
  gids: "0 200000 1000\n",
  isUnshared: false,
  deniesGroups: false,
  owner: { uid: 100_007, gid: 200_007 },
};
const { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, CLONE_NEWNET, CLONE_NEWIPC } = cloneFlags;
const early = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS;
const late = CLONE_NEWNET | CLONE_NEWIPC;
const born: readonly ContainerStep[] = [
  { do: "user-namespace", uid: 0, gid: 0, kind: "born" },
  { do: "unshare", flags: late },
  { do: "namespaces-ready" },
];

/** The root behind a directory that is closed to the mapped ids. */
function closedBox(): Sandbox {
  const box = new Sandbox();
  chownSync(box.root, 100_000, 200_000);
  chmodSync(box.dir, 0o700);
  return box;
}

describe.each(["plain", "asan"] as const)("steps (%s)", (program) => {
  async function output(plan: Plan): Promise<string> {
    const { control, attached } = await launch(plan, { program, attach: [all] });
    await control.exited();
    await attached[0]?.exited();
    return attached[0]?.output() ?? "";
  }
  const shell = (box: Sandbox, script: string, pieces: Pieces): Promise<string> =>
    output(container(box, ["sh", "-c", `(${script}) 2>&1`], pieces));
  const root = (box: Sandbox) =>
    ({ do: "open-source", inside: "", path: box.root, recursive: true, uids: "", gids: "" }) as const;

  test("a user namespace by the clone, a root that was opened before, pipes of the program's user", async () => {
    using box = closedBox();
    const seen = await shell(
      box,
      "id -u; cat /proc/self/uid_map; stat -L -c %u:%g /proc/self/fd/1; stat -c %u /sys/class/net/lo",
      {
        flags: early,
        before: [root(box)],
        monitor: [maps],
        early: born,
      },
    );
    expect(seen.split("\n").map((line) => line.trim().split(/\s+/).join(" "))).toEqual([
      "0",
      "0 100000 1000",
      "7:7",
      "0",
      "",
    ]);
  });

  test("one that is made after others were joined, with a pid namespace in it: either of two processes may be heard first", async () => {
    using box = closedBox();
    for (let i = 0; i < 5; i++) {
      const seen = await shell(box, "id -u; cat /proc/1/cmdline | head -c 2", {
        flags: 0n,
        before: [root(box)],
        monitor: [{ ...maps, isUnshared: true }],
        early: [
          { do: "join-paths", namespaces: [{ path: "/proc/self/ns/uts", flag: CLONE_NEWUTS }] },
          { do: "user-namespace", uid: 0, gid: 0, kind: "unshared" },
          { do: "unshare", flags: CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC },
          { do: "namespaces-ready" },
        ],
      });
      expect(seen).toBe("0\nsh");
    }
  });

  test("a time namespace, and an id-mapped mount", async () => {
    using box = new Sandbox();
    mkdirSync(box.path("volume"));
    writeFileSync(box.path("volume/file"), "");
    const uids = "0 41 5\n";
    const seen = await shell(box, "cat /proc/self/timens_offsets; stat -c %u:%g /work/file", {
      before: [
        {
          do: "open-source",
          inside: "/work",
          path: box.path("volume"),
          recursive: true,
          uids,
          gids: "0 42 5\n",
          mapsBelow: true,
        },
      ],
      early: [{ do: "time-namespace", offsets: "boottime 1000 7\n" }],
      root: [
        { do: "root", path: box.root, flags: 0n },
        {
          do: "bind",
          source: box.path("volume"),
          inside: "/work",
          flags: 0n,
          attrSet: 0n,
          attrClear: 0n,
          recursive: false,
          makeTarget: "no",
          propagation: 0n,
        },
      ],
    });
    expect(seen).toMatch(/boottime\s+1000\s+7\n41:42\n$/);
  });

  test("the hard limit of the child is raised, or left", async () => {
    using box = new Sandbox();
    const steps = [{ do: "child-rlimit", resource: 7, hard: 10n }] as const;
    expect(Number(await shell(box, "ulimit -n", { monitor: steps }))).toBeGreaterThan(10);
  });

  test.each([
    [
      "maps that the kernel refuses",
      { flags: early, monitor: [{ ...maps, uids: "0 0 0\n" }], early: born },
      22,
      "write uid_map",
    ],
    [
      "a missing program",
      { flags: early, monitor: [{ ...maps, newgidmap: "/nowhere" }], early: born },
      1,
      "/nowhere",
    ],
    [
      "a namespace of another type",
      { early: [{ do: "join-paths", namespaces: [{ path: "/proc/self/ns/ipc", flag: CLONE_NEWNET }] }] },
      22,
      "is a namespace of type ipc and not network",
    ],
    [
      "a source that is missing",
      {
        before: [{ do: "open-source", inside: "/x", path: "/nowhere", recursive: false, uids: "", gids: "" }],
      },
      2,
      "mount source /nowhere",
    ],
    [
      "ids of a file system that has no maps for them",
      {
        before: [
          {
            do: "open-source",
            inside: "/x",
            path: "/sys/kernel",
            recursive: false,
            uids: "0 1 1\n",
            gids: "0 1 1\n",
          },
        ],
      },
      22,
      "file system sysfs",
    ],
    [
      "offsets before the beginning",
      { early: [{ do: "time-namespace", offsets: "boottime -99999999 0\n" }] },
      34,
      "time offsets",
    ],
    [
      "a group that is not mapped",
      {
        flags: early,
        monitor: [maps],
        early: [{ do: "user-namespace", uid: 0, gid: 5000, kind: "born" }, { do: "namespaces-ready" }],
      },
      22,
      "group",
    ],
  ] as const)("refused and named: %s", async (_, pieces, errno, context) => {
    using box = closedBox();
    const { control } = await launch(container(box, ["true"], pieces), { program });
    const failed = await control.failed();
    expect(failed.errno).toBe(errno);
    expect(failed.context).toContain(context);
  });

  test.each([
    ["id-maps without namespaces-ready", { flags: early, monitor: [maps] }],
    ["namespaces-ready without id-maps", { early: [{ do: "namespaces-ready" }] }],
    [
      "namespaces-ready twice",
      { flags: early, monitor: [maps], early: [...born, { do: "namespaces-ready" }] },
    ],
    ["id-maps in teardown", { teardown: [maps] }],
  ] as const)("no plan: %s", async (_, pieces) => {
    using box = new Sandbox();
    const { control } = await launch(container(box, ["true"], pieces), { program });
    expect(await control.failed()).toMatchObject({ errno: 22, index: 0xffffffff });
  });
});
