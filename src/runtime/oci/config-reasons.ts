/** Why a plan's steps are there when the plan was made from a bundle: words for plan-input's `reasons`. */
const fields = [
  "root",
  "root.readonly",
  "hostname",
  "domainname",
  "mounts",
  "process.args",
  "process.cwd",
  "process.user",
  "process.terminal",
  "process.capabilities",
  "process.rlimits",
  "process.noNewPrivileges",
  "process.oomScoreAdj",
  "process.apparmorProfile",
  "process.selinuxLabel",
  "process.scheduler",
  "process.ioPriority",
  "process.execCPUAffinity",
  "linux.namespaces",
  "linux.uidMappings",
  "linux.gidMappings",
  "linux.timeOffsets",
  "linux.devices",
  "linux.cgroupsPath",
  "linux.resources",
  "linux.resources.memory",
  "linux.resources.cpu",
  "linux.resources.pids",
  "linux.resources.blockIO",
  "linux.resources.hugepageLimits",
  "linux.resources.network",
  "linux.resources.rdma",
  "linux.resources.unified",
  "linux.resources.devices",
  "linux.rootfsPropagation",
  "linux.seccomp",
  "linux.sysctl",
  "linux.maskedPaths",
  "linux.readonlyPaths",
  "linux.mountLabel",
  "linux.intelRdt",
  "linux.memoryPolicy",
  "linux.personality",
  "linux.netDevices",
];

/** Each field that the config has, as its own name. Pure. */
export function configReasons(config: object): Readonly<Record<string, string>> {
  return Object.fromEntries(fields.filter((path) => has(config, path)).map((path) => [path, path]));
}

function has(value: unknown, path: string): boolean {
  let inner: unknown = value;
  for (const part of path.split(".")) {
    if (typeof inner !== "object" || inner === null) return false;
    inner = new Map<string, unknown>(Object.entries(inner)).get(part);
  }
  return inner !== undefined && inner !== null;
}
