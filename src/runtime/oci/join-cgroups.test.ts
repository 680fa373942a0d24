import { expect, test } from "bun:test";
import type { CgroupIo } from "../cgroup-io.ts";
import { joinMissingCgroups } from "./join-cgroups.ts";

const cgroups = { kind: "v1", controllers: { memory: "/m", cpuset: "/s", pids: "/p" } } as const;

function machine(refused = ""): { io: CgroupIo; files: Record<string, string>; log: string[] } {
  const files: Record<string, string> = {
    "/m/a/c/cgroup.procs": "7\n8\n",
    "/s/cpuset.cpus": "0-3\n",
    "/s/cpuset.mems": "0\n",
    "/s/cgroup.procs": "",
  };
  const log: string[] = [];
  const nothing = (): never => {
    throw new Error("not expected");
  };
  const io: CgroupIo = {
    read: (path) => files[path],
    write(path, text) {
      if (path === refused) throw Object.assign(new Error("no"), { code: "EACCES" });
      log.push(`${path}=${text}`);
      files[path] = path.endsWith("procs") ? `${files[path] ?? ""}${text}\n` : `${text}\n`;
    },
    list: () => [],
    mkdir: (path) => {
      log.push(`mkdir ${path}`);
      files[`${path}/cgroup.procs`] = "";
    },
    rmdir: (path) => {
      log.push(`rmdir ${path}`);
      delete files[`${path}/cgroup.procs`];
    },
    kill: nothing,
    sleep: nothing,
  };
  return { io, files, log };
}

test("a missing cpuset is made with its parent's cpus, and every process goes in", () => {
  const { io, log } = machine();
  expect(joinMissingCgroups(io, cgroups, "/a/c", { cpu: { cpus: "1" } })).toEqual(["/s/a/c"]);
  expect(log).toEqual([
    "mkdir /s/a",
    "/s/a/cpuset.cpus=0-3",
    "/s/a/cpuset.mems=0",
    "mkdir /s/a/c",
    "/s/a/c/cpuset.cpus=0-3",
    "/s/a/c/cpuset.mems=0",
    "/s/a/c/cgroup.procs=7",
    "/s/a/c/cgroup.procs=8",
  ]);
});

test("what is there is left alone, and v2 has one cgroup for all", () => {
  const { io, log } = machine();
  expect(joinMissingCgroups(io, cgroups, "/a/c", { memory: { limit: 5 } })).toEqual([]);
  const v2 = { kind: "v2", controllers: {}, unified: "/u" } as const;
  expect(joinMissingCgroups(io, v2, "/a/c", { cpu: { cpus: "1" } })).toEqual([]);
  expect(log).toEqual([]);
});

test("when a process cannot be moved the new cgroup goes again", () => {
  const { io, log } = machine("/s/a/c/cgroup.procs");
  expect(() => joinMissingCgroups(io, cgroups, "/a/c", { cpu: { cpus: "1" } })).toThrow(
    "move process 7 into the cgroup /s/a/c",
  );
  expect(log.at(-1)).toBe("rmdir /s/a/c");
});
