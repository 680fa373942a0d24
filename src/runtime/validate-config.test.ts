import { expect, test } from "bun:test";
import { sampleConfig } from "./sample.test-data.ts";
import { findConfigProblems, validateConfig } from "./validate-config.ts";

const valid = structuredClone(sampleConfig);

/** The valid config with the value at a path replaced (undefined: removed). */
function changed(path: string, value: unknown): unknown {
  const copy: unknown = structuredClone(valid);
  const keys = path.split("/");
  let at = copy as Record<string, unknown>;
  for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
  const last = keys.at(-1) ?? "";
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

test("docker's config is valid, and comes back as it was", () => {
  expect(findConfigProblems(valid)).toEqual([]);
  expect(validateConfig(valid)).toEqual(sampleConfig);
});

test("null is what Go writes for nothing", () => {
  expect(findConfigProblems(changed("linux/resources/memory", null))).toEqual([]);
  const config = validateConfig(changed("linux/resources/memory", null));
  expect(Object.keys(config.linux?.resources ?? {})).not.toContain("memory");
});

test.each([
  ["ociVersion", undefined, "ociVersion", "is required"],
  ["ociVersion", "2.0", "ociVersion", "version 1.x.y"],
  ["root", undefined, "root", "is required"],
  ["root/path", "", "root.path", "must not be empty"],
  ["process/cwd", "work", "process.cwd", "absolute"],
  ["process/args", [], "process.args", "must name a program"],
  ["process/args", [""], "process.args[0]", "must not be empty"],
  ["process/args", ["a\0"], "process.args[0]", "NUL"],
  ["process/env", ["A=1", "B"], "process.env[1]", "NAME=VALUE"],
  ["process/user", { uid: -1, gid: 0 }, "process.user.uid", "from 0"],
  ["process/user", { uid: 1.5, gid: 0 }, "process.user.uid", "whole number"],
  ["process/capabilities/bounding", ["CAP_FLY"], "process.capabilities.bounding[0]", "CAP_CHOWN"],
  ["process/rlimits", [{ type: "RLIMIT_X", soft: 1, hard: 1 }], "process.rlimits[0].type", "one of"],
  ["process/rlimits", [{ type: "RLIMIT_CPU", soft: 2, hard: 1 }], "process.rlimits[0].soft", "hard limit"],
  ["process/terminal", "yes", "process.terminal", "true or false"],
  ["process/oomScoreAdj", 2000, "process.oomScoreAdj", "-1000 to 1000"],
  ["mounts", {}, "mounts", "must be a list"],
  ["mounts", [{ destination: "/a", options: ["bind"] }], "mounts[0].source", "is required"],
  ["mounts", [{ destination: "/a" }], "mounts[0].type", "is required"],
  ["hooks/poststart", [{ path: "x" }], "hooks.poststart[0].path", "absolute"],
  ["annotations", { a: 1 }, "annotations.a", "must be a text"],
  ["linux/namespaces", [{ type: "mnt" }], "linux.namespaces[0].type", "one of"],
  [
    "linux/namespaces",
    [{ type: "mount" }, { type: "mount" }, { type: "uts" }, { type: "network" }],
    "linux.namespaces[1].type",
    "twice",
  ],
  ["linux/namespaces", [{ type: "mount" }, { type: "network" }], "hostname", "needs a uts namespace"],
  ["linux/sysctl", { "vm.swappiness": "1" }, 'linux.sysctl."vm.swappiness"', "whole host"],
  ["linux/sysctl", { "net.../x": "1" }, 'linux.sysctl."net.../x"', "not a kernel setting"],
  ["linux/devices", [{ path: "/dev/x", type: "c" }], "linux.devices[0].major", "is required"],
  ["linux/rootfsPropagation", "public", "linux.rootfsPropagation", "private"],
  ["linux/maskedPaths", ["proc"], "linux.maskedPaths[0]", "absolute"],
  ["linux/cgroupsPath", "/a/../b", "linux.cgroupsPath", ".."],
  ["linux/resources/memory", { limit: 5, swap: 3 }, "linux.resources.memory.swap", "below"],
  ["linux/resources/memory", { swap: 3 }, "linux.resources.memory.swap", "needs a memory limit"],
  ["linux/resources/cpu", { cpus: "1-" }, "linux.resources.cpu.cpus", "list such as"],
  ["linux/resources/pids", { limit: "many" }, "linux.resources.pids.limit", "whole number"],
  ["linux/resources/devices", [{ access: "rx" }], "linux.resources.devices[0].allow", "is required"],
  ["linux/seccomp", { defaultAction: "ALLOW" }, "linux.seccomp.defaultAction", "SCMP_ACT_ERRNO"],
  [
    "linux/seccomp",
    { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ action: "SCMP_ACT_ALLOW" }] },
    "linux.seccomp.syscalls[0].names",
    "name a system call",
  ],
] as const)("%s = %j is found at %s", (path, value, at, words) => {
  const finding = findConfigProblems(changed(path, value)).find((one) => one.path === at);
  expect(finding?.problem).toContain(words);
});

test.each([[undefined], [null], ["text"], [[]], [5]])("%j is no config", (value) => {
  expect(findConfigProblems(value)).toEqual([{ path: "config.json", problem: "must be an object" }]);
});

test("all findings are in one error, each with its path", () => {
  const config = { ...valid, ociVersion: 1, process: { args: [], cwd: "x" } };
  expect(() => validateConfig(config)).toThrow(
    "config.json has 3 errors:\n  ociVersion: must be a text\n  process.cwd: must be an absolute path\n  process.args: must name a program",
  );
});
