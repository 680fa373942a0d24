import { expect, test } from "bun:test";
import type { OciIntelRdt } from "./oci-types.ts";
import { becauseOf } from "./plan-input.ts";
import { planRdt } from "./plan-rdt.ts";

const mounted = "40 1 0:30 / /sys/fs/resctrl rw - resctrl resctrl rw\n";
const files: Readonly<Record<string, string>> = {
  "/proc/self/mountinfo": mounted,
  "/sys/fs/resctrl/info/L3/num_closids": "16",
  "/sys/fs/resctrl/info/MB/num_closids": "8",
  "/sys/fs/resctrl/there/schemata": "L3:0=ff\n",
};
const planned = (rdt: OciIntelRdt | undefined, have = files) =>
  planRdt({ rdt, id: "c1", because: becauseOf(), readText: (path) => have[path] });
const words = (rdt: OciIntelRdt): readonly string[] => {
  const { before, enter, teardown } = planned(rdt);
  return [...before, ...enter, ...teardown].map((step) => {
    if (step.do === "write-file") return `${step.path.slice(16)}=${step.data.trim()}`;
    if (step.do === "make-dir") return `make ${step.path.slice(16)}`;
    return "dir" in step ? `${step.do} ${step.dir.slice(16)}` : step.do;
  });
};

test("nothing asked, nothing done", () => {
  expect(planned(undefined)).toEqual({ before: [], enter: [], teardown: [] });
  expect(planned({})).toEqual({ before: [], enter: [], teardown: [] });
});

test("a group of the container's own is made, filled, entered and removed", () => {
  expect(words({ l3CacheSchema: "L3:0=f;1=f", memBwSchema: "MB:0=20", schemata: ["L3:1=3"] })).toEqual([
    "make c1",
    "c1/schemata=L3:0=f;1=f",
    "c1/schemata=MB:0=20",
    "c1/schemata=L3:1=3",
    "enter-cgroup c1",
    "remove-cgroup c1",
  ]);
});

test("a named one stays", () => {
  expect(words({ closID: "there" })).toEqual(["make there", "enter-cgroup there"]);
});

test("monitoring has a group below it, which goes", () => {
  expect(words({ closID: "there", enableMonitoring: true })).toEqual([
    "make there",
    "make there/mon_groups/c1",
    "enter-cgroup there",
    "enter-cgroup there/mon_groups/c1",
    "remove-cgroup there/mon_groups/c1",
  ]);
});

test.each<[OciIntelRdt, string]>([
  [{ closID: "a/b" }, "linux.intelRdt.closID"],
  [{ closID: ".." }, "linux.intelRdt.closID"],
  [{ closID: "absent" }, "there is no group /sys/fs/resctrl/absent"],
  [{ schemata: ["L3:0=f", "L2:0=f"] }, "linux.intelRdt.schemata[1]: this machine cannot share out L2"],
  [{ l3CacheSchema: "0=f" }, "is not RESOURCE:DOMAIN=SHARE"],
])("%j is refused", (rdt, why) => {
  expect(() => planned(rdt)).toThrow(why);
});

test("without the file system that is said", () => {
  expect(() => planned({ l3CacheSchema: "L3:0=f" }, {})).toThrow(
    "linux.intelRdt: no resctrl file system is mounted",
  );
});
