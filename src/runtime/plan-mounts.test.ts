import { describe, expect, test } from "bun:test";
import { mountFlags as m } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { insidePath } from "./inside-path.ts";
import type { OciConfig, OciMount } from "./oci-types.ts";
import { planContainer } from "./plan-container.ts";
import { planMounts } from "./plan-mounts.ts";
import type { ContainerStep } from "./plan-step.ts";
import { hybridLayout, sampleConfig, v2Layout } from "./sample.test-data.ts";

const because = (fallback: string): string => fallback;
const plan = (mounts: readonly OciMount[], change: Partial<OciConfig> = {}) =>
  planMounts({
    config: { ...sampleConfig, ...change, mounts },
    cgroups: v2Layout,
    controllers: ["memory"],
    because,
  });
const bind = (...options: readonly string[]): OciMount => ({ destination: "/d", source: "/s", options });
const tmpfs = (...options: readonly string[]): OciMount => ({
  destination: "/d",
  type: "tmpfs",
  source: "tmpfs",
  options,
});

describe("destinations", () => {
  test.each([
    ["/a/./b//c/", undefined, "/a/b/c"],
    ["a/b", undefined, "/a/b"],
    ["../../a", undefined, "/a"],
    ["/", undefined, "/"],
    ["/bundle/rootfs/mnt/x", "/bundle/rootfs", "/mnt/x"],
    ["/bundle/rootfs", "/bundle/rootfs/", "/bundle/rootfs"],
    ["/bundle/rootfs2/x", "/bundle/rootfs", "/bundle/rootfs2/x"],
    ["/x", "/", "/x"],
  ])("%s in a root at %s is %s", (destination, root, inside) => {
    expect(insidePath(destination, root)).toBe(inside);
  });
});

describe("binds", () => {
  test("without a word on attributes they are the source's", () => {
    expect(plan([bind("rbind")]).mounts).toMatchObject([
      { do: "bind", flags: m.MS_REC, attrSet: 0n, attrClear: 0n, attrUnset: 0n, recursive: false },
    ]);
  });

  test("named ones are exactly those; of all below where an r stands before", () => {
    expect(plan([bind("bind", "ro")]).mounts).toMatchObject([{ attrSet: 1n, attrUnset: 0x20000en }]);
    expect(plan([bind("rbind", "nosuid", "rro")]).mounts).toMatchObject([
      { flags: m.MS_REC | m.MS_NOSUID, attrSet: 1n, recursive: true, attrUnset: 0x20000dn },
    ]);
  });

  test.each([
    [undefined, m.MS_PRIVATE | m.MS_REC],
    ["rprivate", m.MS_PRIVATE | m.MS_REC],
    ["rslave", m.MS_SLAVE | m.MS_REC],
    ["rshared", 0n],
    ["unbindable", m.MS_PRIVATE | m.MS_REC],
  ])("below a root that is %s they are by default", (rootfsPropagation, propagation) => {
    const linux = {
      ...sampleConfig.linux,
      ...(rootfsPropagation === undefined ? {} : { rootfsPropagation }),
    };
    expect(plan([bind("bind")], { linux }).mounts).toMatchObject([{ propagation }]);
  });

  test("crun's words on symlinks", () => {
    expect(plan([bind("bind", "src-nofollow", "dest-nofollow")]).mounts).toMatchObject([
      { sourceLink: true, placeLink: true },
    ]);
    expect(plan([bind("bind", "copy-symlink")]).mounts).toMatchObject([{ copySymlink: true }]);
  });
});

describe("new file systems", () => {
  test("a read-only tmpfs is filled first", () => {
    expect(plan([tmpfs("ro", "nosuid")])).toMatchObject({
      mounts: [{ do: "mount", flags: m.MS_NOSUID, keep: true, inheritMode: true, makeTarget: true }],
      late: [{ do: "mount-attributes", inside: "/d", set: 1n, clear: 0n }],
    });
  });

  test("what concerns all below concerns the new mount", () => {
    expect(plan([tmpfs("rro", "rnosuid", "rw", "rnoatime", "really")])).toMatchObject({
      mounts: [{ flags: m.MS_NOSUID | m.MS_NOATIME, data: "really" }],
      late: [],
    });
    expect(plan([tmpfs("rro")]).late).toMatchObject([{ do: "mount-attributes" }]);
  });

  test("a mode of its own is not inherited, and nothing is kept that stays as it is", () => {
    const [step] = plan([tmpfs("mode=700")]).mounts;
    expect(step).not.toHaveProperty("inheritMode");
    expect(step).not.toHaveProperty("keep");
  });

  test("what belongs to a disk's file system is asked of it, what belongs to the kernel's is not", () => {
    const ext4 = {
      destination: "/d",
      type: "ext4",
      source: "/dev/vdb",
      options: ["ro", "sync", "errors=panic"],
    };
    expect(plan([ext4]).mounts).toMatchObject([
      { data: "ro,sync,errors=panic", flags: m.MS_RDONLY | m.MS_SYNCHRONOUS },
    ]);
    const proc = {
      destination: "/proc",
      type: "proc",
      source: "proc",
      options: ["ro", "hidepid=2", "subset=pid"],
    };
    expect(plan([proc]).mounts).toMatchObject([
      { data: "hidepid=2,subset=pid", flags: m.MS_RDONLY, plain: true },
    ]);
  });

  test("sysfs and cgroups have something to fall back to", () => {
    const { mounts } = plan([
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
    ]);
    expect(mounts).toMatchObject([
      { fstype: "sysfs", plain: true, fallback: "/sys", fallbackReadOnly: true },
      { fstype: "cgroup2", fallback: "/sys/fs/cgroup/gantry/0123", flags: m.MS_RDONLY },
    ]);
  });

  test("without a cgroup namespace only the container's own cgroup is shown", () => {
    const linux = { ...sampleConfig.linux, namespaces: [{ type: "mount" as const }] };
    const mount = { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] };
    expect(plan([mount], { linux }).mounts).toMatchObject([
      { do: "bind", source: "/sys/fs/cgroup/gantry/0123", attrSet: 1n, makeTarget: "dir" },
    ]);
  });

  test("remount changes what is there", () => {
    expect(plan([tmpfs("remount", "ro", "size=1m")]).mounts).toMatchObject([
      { do: "remount", inside: "/d", set: 1n, data: "size=1m" },
    ]);
    expect(plan([bind("bind", "remount", "noexec")]).mounts).toMatchObject([
      { do: "remount", set: 8n, unset: 0n, data: "" },
    ]);
  });
});

describe("/proc", () => {
  const on = (destination: string, change: Partial<OciMount> = {}): OciMount => ({
    destination,
    source: "/s",
    options: ["bind"],
    ...change,
  });

  test.each(["cpuinfo", "meminfo", "stat", "uptime", "sys/kernel/ns_last_pid"])(
    "/proc/%s may be imitated",
    (name) => {
      expect(plan([on(`/proc/${name}`)]).mounts).toMatchObject([{ do: "bind", onProc: true }]);
    },
  );

  test("a procfs of the host, and only one, may stand for it", () => {
    expect(plan([on("/proc")]).mounts).toMatchObject([{ onProc: true, fromProc: true }]);
  });

  test.each([
    [on("/proc/self"), "inside /proc"],
    [on("/proc/sys/kernel"), "inside /proc"],
    [on("proc/../proc/sysrq-trigger"), "inside /proc"],
    [on("/proc/cpuinfo/x"), "inside /proc"],
    [on("/proc", { type: "tmpfs", options: [] }), "not of type proc"],
    [on("/proc/x", { type: "proc", options: [] }), "inside /proc"],
  ])("%j is refused", (mount, words) => {
    expect(() => plan([mount])).toThrow(words);
  });
});

describe("contradictions", () => {
  test.each([
    [bind("bind", "tmpcopyup"), "tmpcopyup"],
    [bind("bind", "copy-symlink", "src-nofollow"), "excludes"],
    [{ ...tmpfs("tmpcopyup"), destination: "/" }, "whole root"],
    [tmpfs("dest-nofollow"), "bind mounts only"],
    [tmpfs("copy-symlink"), "bind mounts only"],
  ])("%j", (mount, words) => {
    expect(() => plan([mount])).toThrow(words);
    expect(() => plan([mount])).toThrow(GantryError);
  });
});

describe("the root's propagation", () => {
  const steps = (rootfsPropagation: string): readonly ContainerStep[] =>
    planContainer({
      config: { ...sampleConfig, linux: { ...sampleConfig.linux, rootfsPropagation } },
      cgroups: hybridLayout,
    }).plan.container.filter((step) => /propagation|private-parent|^root$|pivot/.test(step.do));

  test.each(["", "private", "rprivate", "slave", "rslave"])(
    "%s is set before anything is mounted",
    (word) => {
      const kind = word.endsWith("private") ? m.MS_PRIVATE : m.MS_SLAVE;
      expect(steps(word)).toMatchObject([
        { do: "mount-propagation", path: "/", flags: kind | m.MS_REC },
        { do: "root" },
        { do: "pivot-root" },
      ]);
    },
  );

  test.each(["shared", "rshared"])(
    "%s leaves the host's mounts what they are, but those around the root",
    (word) => {
      const rec = word === "rshared" ? m.MS_REC : 0n;
      expect(steps(word)).toMatchObject([
        { do: "private-parent", path: "/rootfs" },
        { do: "root" },
        { do: "pivot-root" },
        { do: "root-propagation", flags: m.MS_SHARED | rec },
      ]);
    },
  );

  test("unbindable comes last: nothing could be bound before", () => {
    expect(steps("runbindable")).toMatchObject([
      { do: "mount-propagation", flags: m.MS_SLAVE | m.MS_REC },
      { do: "root" },
      { do: "pivot-root" },
      { do: "root-propagation", flags: m.MS_UNBINDABLE | m.MS_REC },
    ]);
  });
});
