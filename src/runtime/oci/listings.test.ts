import { expect, test } from "bun:test";
import { criuErrors, quoteErrors, versionNumber } from "./criu.ts";
import { cgroupBinds } from "./criu-files.ts";
import { hugePageSizes } from "./events.ts";
import { exampleConfig, rootlessConfig } from "./example-config.ts";
import { limitWord, parseCgroupFile, presentText } from "./explain.ts";
import { resctrlMount } from "../plan-rdt.ts";
import { schemaLine } from "./intel-rdt.ts";
import { table } from "./list.ts";
import { ownListing } from "./process-table.ts";
import { filterRows } from "./ps.ts";
import { parsePasswd } from "./user-names.ts";
import { findingsJson, findingsText } from "./validate.ts";
import { findConfigProblems } from "../validate-config.ts";

const row = {
  ociVersion: "1.3.0",
  id: "c1",
  pid: 16560,
  status: "running",
  bundle: "/tmp/h3/b",
  rootfs: "/tmp/h3/b/rootfs",
  created: "2026-11-25T00:07:34.330221598Z",
  owner: "root",
} as const;

test("list: the table as runc lays it out", () => {
  expect(table([])).toBe("ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
  expect(table([row])).toBe(
    "ID          PID         STATUS      BUNDLE      CREATED                          OWNER\n" +
      "c1          16560       running     /tmp/h3/b   2026-11-25T00:07:34.330221598Z   root\n",
  );
});

test("ps: the rows of the container's pids", () => {
  const listing = "UID PID CMD\nroot 1 init\nroot 20 sh\nroot 200 sh\n";
  expect(filterRows(listing, [20, 7])).toBe("UID PID CMD\nroot 20 sh\n");
  expect(filterRows("  PID TTY\n   20 ?\n", [20])).toBe("  PID TTY\n   20 ?\n");
  expect(filterRows(listing, [])).toBe("UID PID CMD\n");
  expect(() => filterRows("USER CMD\nroot sh\n", [20])).toThrow("couldn't find PID field in ps output");
});

test("ps without ps: from /proc", () => {
  const files: Readonly<Record<string, string>> = {
    "/proc/20/stat": "20 (a) b) S 5 20 20 0 -1 0 0 0 0 0 300 70 0 0 20 0 1 0 99",
    "/proc/20/status": "Name:\ta) b\nUid:\t1000\t33\t33\t33\n",
    "/proc/20/cmdline": "sh\0-c\0x\u0007\0",
    "/proc/21/stat": "21 (kworker) I 2 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99",
    "/proc/21/status": "Uid:\t0\t0\t0\t0\n",
    "/proc/21/cmdline": "",
  };
  const names = { of: (uid: number) => (uid === 33 ? "www-data" : `#${uid}`) };
  expect(ownListing([20, 21, 22], (path) => files[path], names)).toBe(
    "UID          PID    PPID STAT     TIME CMD\n" +
      "www-data      20       5 S    00:00:03 sh -c x?\n" +
      "#0            21       2 I    00:00:00 [kworker]\n",
  );
});

test("passwd(5)", () => {
  const names = parsePasswd("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/\n# no\nwww:x:33:33::/:/\nbad:x:x:\n");
  expect([...names]).toEqual([
    [0, "root"],
    [33, "www"],
  ]);
});

test("spec: valid, with and without root", () => {
  expect(findConfigProblems(exampleConfig(false))).toEqual([]);
  expect(exampleConfig(true).linux?.namespaces).toContainEqual({ type: "cgroup" });
  const rootless = rootlessConfig(exampleConfig(false), 1000, 100);
  expect(findConfigProblems(rootless)).toEqual([]);
  expect(rootless.linux?.uidMappings).toEqual([{ containerID: 0, hostID: 1000, size: 1 }]);
  expect(rootless.linux?.gidMappings).toEqual([{ containerID: 0, hostID: 100, size: 1 }]);
  expect(rootless.linux?.resources).toBeUndefined();
  expect(rootless.linux?.namespaces?.map(({ type }) => type)).toEqual(["pid", "ipc", "uts", "mount", "user"]);
  expect(JSON.stringify(rootless.mounts)).not.toContain("gid=");
  expect(rootless.mounts).toContainEqual({
    destination: "/sys",
    type: "none",
    source: "/sys",
    options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
  });
});

test("validate: text and JSON", () => {
  const findings = [{ path: "process.cwd", problem: "must be an absolute path" }];
  expect(findingsText(findings)).toBe("process.cwd: must be an absolute path\n");
  expect(JSON.parse(findingsJson(findings))).toEqual({ valid: false, findings });
  expect(findingsJson([])).toBe('{"valid":true,"findings":[]}\n');
});

test("explain: what is there now", () => {
  expect(parseCgroupFile("5:memory:/a\n1:name=systemd:/b:c\n0::/d\n")).toEqual({
    memory: "/a",
    "name=systemd": "/b:c",
    unified: "/d",
  });
  for (const value of ["max", "-1", "9223372036854771712"]) expect(limitWord(value)).toBe("unlimited");
  expect(limitWord("100000")).toBe("100000");
  expect(
    presentText({
      state: row,
      pids: [16560, 3],
      namespaces: { mnt: "4026" },
      cgroups: { memory: "/c1" },
      limits: { memory: "1024" },
      mounts: 9,
    }),
  ).toBe(
    `Container c1 is running, first process 16560, 2 in all, 9 mounts.
   bundle             /tmp/h3/b
   root               /tmp/h3/b/rootfs
   created            2026-11-25T00:07:34.330221598Z
Namespaces:
   mnt                4026
Cgroups:
   memory             /c1
Limits:
   memory             1024
`,
  );
  const gone = {
    state: { ...row, status: "stopped", pid: 0 },
    pids: [],
    namespaces: {},
    cgroups: {},
    limits: {},
    mounts: 0,
  } as const;
  expect(presentText(gone)).toStartWith("Container c1 is stopped.\n");
  expect(presentText(gone)).not.toContain("Namespaces");
});

test("sizes of huge pages", () => {
  expect(hugePageSizes(["hugepages-2048kB", "hugepages-1048576kB", "hugepages-64kB", "other"])).toEqual([
    "2MB",
    "1GB",
    "64KB",
  ]);
});

test("resctrl", () => {
  const mounts =
    "22 27 0:21 / /proc rw - proc proc rw\n40 27 0:31 / /sys/fs/resctrl rw - resctrl resctrl rw\n";
  expect(resctrlMount(mounts)).toBe("/sys/fs/resctrl");
  expect(resctrlMount("")).toBeUndefined();
  expect(schemaLine("    MB:0=100\n    L3:0=fffff;1=fffff\n", "L3")).toBe("L3:0=fffff;1=fffff");
});

test("criu's words", () => {
  expect(versionNumber("Version: 3.17.1\n")).toBe(31_701);
  expect(versionNumber("Version: 4.0\nGitID: v4.0\n")).toBe(40_000);
  expect(versionNumber("")).toBe(0);
  expect(criuErrors("Warn (x): y\nError (criu/vdso.c:381): vdso: Unexpected\n(00.1) Error (a:1): b\n")).toBe(
    "vdso: Unexpected; b",
  );
  expect(criuErrors("")).toBe("criu check failed");
  expect(quoteErrors("1\n2\n3\n4\n5\n6\nError x\n8")).toEqual([
    "2:2",
    "3:3",
    "4:4",
    "5:5",
    "6:6",
    "7:Error x",
  ]);
});

test("criu: a cgroup mount without a cgroup namespace is a set of binds on v1", () => {
  const cgroups = {
    kind: "v1",
    controllers: { memory: "/sys/fs/cgroup/memory", cpu: "/sys/fs/cgroup/cpu" },
  } as const;
  const config = { ociVersion: "1.3.0", mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup" }] };
  expect(cgroupBinds(config, cgroups, "/c")).toEqual([
    { inside: "/sys/fs/cgroup/memory", source: "/sys/fs/cgroup/memory/c" },
    { inside: "/sys/fs/cgroup/cpu", source: "/sys/fs/cgroup/cpu/c" },
  ]);
  const own = { ...config, linux: { namespaces: [{ type: "cgroup" } as const] } };
  expect(cgroupBinds(own, cgroups, "/c")).toEqual([]);
});
