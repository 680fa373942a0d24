/** Checks the `linux` part of a config.json (runtime-spec config-linux.md). Pure. */
import type { Checked } from "./config-checks.ts";
import { parsePropagation } from "./mount-options.ts";

const maxId = 0xffff_fffe;
const big = Number.MAX_SAFE_INTEGER;
const namespaceTypes = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];

export function checkLinux(linux: Checked): void {
  if (!linux.object()) return;
  checkNamespaces(linux.field("namespaces"));
  for (const kind of ["uidMappings", "gidMappings"]) linux.field(kind).list().forEach(checkMapping);
  linux.field("devices").list().forEach(checkDevice);
  const cgroup = linux.field("cgroupsPath");
  if (cgroup.text()?.split("/").includes("..") === true) cgroup.found("must not hold ..");
  const propagation = linux.field("rootfsPropagation").text() ?? "";
  if (propagation !== "" && parsePropagation(propagation) === undefined)
    linux
      .field("rootfsPropagation")
      .found("must be one of: private, slave, shared, unbindable, or with r before");
  for (const list of ["maskedPaths", "readonlyPaths"])
    for (const path of linux.field(list).list()) path.absolutePath(true);
  for (const [key, value] of linux.field("sysctl").entries()) {
    value.text(true);
    if (!/^[a-zA-Z0-9_-]+([./][a-zA-Z0-9_-]+)+$/.test(key)) value.found("is not a kernel setting's name");
  }
  checkSeccomp(linux.field("seccomp"));
  checkResources(linux.field("resources"));
}

function checkNamespaces(namespaces: Checked): void {
  const seen = new Set<unknown>();
  for (const namespace of namespaces.list()) {
    if (!namespace.object(true)) continue;
    const type = namespace.field("type");
    type.oneOf(namespaceTypes, true);
    if (seen.has(type.value)) type.found("stands in the list twice");
    seen.add(type.value);
    if (namespace.field("path").value !== "") namespace.field("path").absolutePath();
  }
}

function checkMapping(mapping: Checked): void {
  if (!mapping.object(true)) return;
  mapping.field("containerID").integer(0, maxId, true);
  mapping.field("hostID").integer(0, maxId, true);
  mapping.field("size").integer(1, maxId, true);
}

function checkDevice(device: Checked): void {
  if (!device.object(true)) return;
  device.field("path").absolutePath(true);
  device.field("type").oneOf(["c", "b", "u", "p"], true);
  const numbered = device.field("type").value !== "p";
  device.field("major").integer(0, 0xfff, numbered);
  device.field("minor").integer(0, 0xf_ffff, numbered);
  device.field("fileMode").integer(0, 0o177777);
  device.field("uid").integer(0, maxId);
  device.field("gid").integer(0, maxId);
}

function checkSeccomp(seccomp: Checked): void {
  if (!seccomp.object()) return;
  seccomp.field("defaultAction").matches(/^SCMP_ACT_[A-Z_]+$/, "an action such as SCMP_ACT_ERRNO", true);
  for (const syscall of seccomp.field("syscalls").list()) {
    if (!syscall.object(true)) continue;
    syscall.field("action").matches(/^SCMP_ACT_[A-Z_]+$/, "an action such as SCMP_ACT_ALLOW", true);
    const names = syscall.field("names");
    if (names.isMissing || names.list().length === 0) names.found("must name a system call");
    for (const name of names.list()) name.text(true);
    for (const arg of syscall.field("args").list()) {
      if (!arg.object(true)) continue;
      arg.field("index").integer(0, 5, true);
      arg
        .field("op")
        .matches(/^SCMP_CMP_(NE|LT|LE|EQ|GE|GT|MASKED_EQ)$/, "a comparison such as SCMP_CMP_EQ", true);
    }
  }
}

function checkResources(resources: Checked): void {
  if (!resources.object()) return;
  for (const rule of resources.field("devices").list()) {
    if (!rule.object(true)) continue;
    if (rule.field("allow").isMissing) rule.field("allow").found("is required");
    rule.field("allow").boolean();
    rule.field("type").oneOf(["a", "b", "c", ""]);
    rule.field("major").integer(-1, 0xfff);
    rule.field("minor").integer(-1, 0xf_ffff);
    rule.field("access").matches(/^[rwm]*$/, "made of r, w and m");
  }
  checkMemory(resources.field("memory"));
  checkCpu(resources.field("cpu"));
  const pids = resources.field("pids");
  if (pids.object()) pids.field("limit").integer(-1, 4_194_304, true);
  const io = resources.field("blockIO");
  if (io.object()) {
    if (io.field("weight").value !== 0) io.field("weight").integer(10, 1000);
    for (const list of [
      "throttleReadBpsDevice",
      "throttleWriteBpsDevice",
      "throttleReadIOPSDevice",
      "throttleWriteIOPSDevice",
    ])
      io.field(list).list().forEach(checkThrottle);
  }
  for (const limit of resources.field("hugepageLimits").list()) {
    if (!limit.object(true)) continue;
    limit.field("pageSize").matches(/^[1-9][0-9]*[KMG]B$/, "a page size such as 2MB", true);
    limit.field("limit").integer(0, big, true);
  }
  for (const [file, value] of resources.field("unified").entries()) {
    value.text(true);
    if (!/^[a-z0-9_]+(\.[A-Za-z0-9_]+)+$/.test(file)) value.found("is not the name of a cgroup file");
  }
}

function checkThrottle(device: Checked): void {
  if (!device.object(true)) return;
  for (const field of ["major", "minor", "rate"]) device.field(field).integer(0, big, true);
}

function checkMemory(memory: Checked): void {
  if (!memory.object()) return;
  for (const field of ["limit", "reservation", "swap", "kernel", "kernelTCP"])
    memory.field(field).integer(-1, big);
  memory.field("swappiness").integer(0, 100);
  for (const field of ["disableOOMKiller", "useHierarchy", "checkBeforeUpdate"])
    memory.field(field).boolean();
  const limit = memory.field("limit").value;
  const swap = memory.field("swap").value;
  if (typeof swap === "number" && swap > 0) {
    if (typeof limit !== "number" || limit <= 0) memory.field("swap").found("needs a memory limit");
    else if (swap < limit)
      memory.field("swap").found("is memory plus swap, and must not be below the memory limit");
  }
}

function checkCpu(cpu: Checked): void {
  if (!cpu.object()) return;
  cpu.field("shares").integer(0, big);
  cpu.field("period").integer(0, 1_000_000);
  cpu.field("quota").integer(-1, big);
  cpu.field("burst").integer(0, big);
  cpu.field("idle").integer(0, 1);
  cpu.field("realtimePeriod").integer(0, big);
  cpu.field("realtimeRuntime").integer(-1, big);
  for (const field of ["cpus", "mems"])
    cpu.field(field).matches(/^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$/, "a list such as 0-2,4");
}
