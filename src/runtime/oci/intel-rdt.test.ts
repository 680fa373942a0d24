import { expect, test } from "bun:test";
import { planRdt } from "../plan-rdt.ts";
import { schemaLine } from "./intel-rdt.ts";

/** A machine that shares out its L3 cache and its memory bandwidth. */
const machine: Readonly<Record<string, string>> = {
  "/proc/self/mountinfo": "40 27 0:31 / /sys/fs/resctrl rw - resctrl resctrl rw\n",
  "/sys/fs/resctrl/info/L3/num_closids": "16\n",
  "/sys/fs/resctrl/info/MB/num_closids": "8\n",
};
const plan = (rdt: object, files = machine) =>
  planRdt({ rdt, id: "web", because: (words) => words, readText: (path) => files[path] });

test("Intel RDT: the container's group is made with its schemas, entered, and removed", () => {
  const { before, enter, teardown } = plan({ l3CacheSchema: "L3:0=f", schemata: ["MB:0=50"] });
  expect(before).toMatchObject([
    { do: "make-dir", path: "/sys/fs/resctrl/web" },
    { do: "write-file", path: "/sys/fs/resctrl/web/schemata", data: "L3:0=f\n" },
    { do: "write-file", path: "/sys/fs/resctrl/web/schemata", data: "MB:0=50\n" },
  ]);
  expect(enter).toMatchObject([{ dir: "/sys/fs/resctrl/web" }]);
  expect(teardown).toMatchObject([{ do: "remove-cgroup", dir: "/sys/fs/resctrl/web" }]);
});

test("Intel RDT: a class that has a name stays; its container is counted by itself", () => {
  const { before, teardown } = plan({ closID: "gold", schemata: ["L3:0=f"], enableMonitoring: true });
  expect(before).toMatchObject([
    { path: "/sys/fs/resctrl/gold" },
    { path: "/sys/fs/resctrl/gold/mon_groups/web" },
    { path: "/sys/fs/resctrl/gold/schemata" },
  ]);
  expect(teardown).toMatchObject([{ dir: "/sys/fs/resctrl/gold/mon_groups/web" }]);
});

test.each([
  [{ schemata: ["L2:0=f"] }, machine, "this machine cannot share out L2"],
  [{ schemata: ["nonsense"] }, machine, "is not RESOURCE:DOMAIN=SHARE"],
  [{ closID: "gold" }, machine, "there is no group /sys/fs/resctrl/gold"],
  [{ closID: "a/b", schemata: ["L3:0=f"] }, machine, "is not the name of a directory"],
  [{ schemata: ["L3:0=f"] }, {}, "no resctrl file system is mounted"],
])("Intel RDT: %j is refused", (rdt, files, why) => expect(() => plan(rdt, files)).toThrow(why));

test("schemas of a group", () => {
  expect(schemaLine("    MB:0=100\n    L3:0=fffff;1=fffff\n", "L3")).toBe("L3:0=fffff;1=fffff");
  expect(schemaLine("", "L3")).toBeUndefined();
});
