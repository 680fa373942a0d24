import { expect, test } from "bun:test";
import type { CgroupIo } from "./cgroup-io.ts";
import { enterHierarchy } from "./cgroup-late.ts";
import { v1Layout, v2Layout } from "./sample.test-data.ts";

const cpuset = v1Layout.controllers["cpuset"] ?? "";
const pids = v1Layout.controllers["pids"] ?? "";

/** Control files as a map; a process that is moved into the new cgroup forks once. */
function machine() {
  const files = new Map([
    [`${cpuset}/cpuset.cpus`, "0-3\n"],
    [`${cpuset}/cpuset.mems`, "0\n"],
    [`${pids}/g/x/cgroup.procs`, "7\n"],
  ]);
  const moved: string[] = [];
  const made: string[] = [];
  const io: CgroupIo = {
    read: (path) => files.get(path),
    write(path, text) {
      files.set(path, path.endsWith("cgroup.procs") ? `${files.get(path) ?? ""}${text}\n` : text);
      if (!path.endsWith("cgroup.procs")) return;
      moved.push(text);
      if (text === "7") files.set(`${pids}/g/x/cgroup.procs`, "7\n8\n");
      if (text === "8") throw Object.assign(new Error("it has ended"), { code: "ESRCH" });
    },
    list: () => [],
    mkdir(path) {
      made.push(path);
      files.set(`${path}/cgroup.procs`, "");
    },
    rmdir: () => {},
    kill: () => {},
    sleep: () => {},
  };
  return { io, files, moved, made };
}

test("v1: the cgroup is made with its parent's processors, and all processes enter it, also those born meanwhile", () => {
  const { io, files, moved, made } = machine();
  enterHierarchy(io, v1Layout, "/g/x", "cpuset");
  expect(made).toEqual([`${cpuset}/g`, `${cpuset}/g/x`]);
  expect(files.get(`${cpuset}/g/x/cpuset.cpus`)).toBe("0-3");
  expect(moved).toEqual(["7", "8"]);
  enterHierarchy(io, v1Layout, "/g/x", "cpuset");
  expect(moved).toHaveLength(2);
});

test("v2 has one hierarchy: nothing to do", () => {
  const { io, made, moved } = machine();
  enterHierarchy(io, v2Layout, "/g/x", "cpuset");
  expect([made, moved]).toEqual([[], []]);
});
