/** What a step does as a short phrase, for error messages: "mount proc on /proc". A flat catalogue. */
import type { ContainerStep, MonitorStep, SchedulerStep } from "./plan-step.ts";

/** The phrase of a step; it fits before ": operation not permitted". */
export function stepPhrase(step: MonitorStep | ContainerStep): string {
  switch (step.do) {
    case "make-dir":
      return `make directory ${step.path}`;
    case "write-file":
      return `write ${shorten(step.data)} to ${step.path}`;
    case "become-parent":
      return "become the parent of what the runtime leaves behind";
    case "private-mounts":
      return "make a mount namespace for the monitor";
    case "run-program":
      return ["run", ...step.argv.slice(0, 1), ...runtimeVerb(step.argv)].join(" ");
    case "adopt":
      return `take over the process named in ${step.pidFile}`;
    case "console-listen":
      return `listen for the terminal at ${step.path}`;
    case "child-netlink":
      return step.messages.map((message) => message.description).join(", ");
    case "enter-cgroup":
      return `enter cgroup ${step.dir}`;
    case "join-cgroup":
      return `put the process into cgroup ${step.dir}`;
    case "clone":
      return "create the container's first process in its namespaces";
    case "netlink":
      return step.messages.map((message) => message.description).join(", ");
    case "cgroup-devices":
      return `attach the device rules to cgroup ${step.dir}`;
    case "fill-cpuset":
      return `fill the cpuset ${step.mount}${step.path}`;
    case "limit":
      return `write ${shorten(step.values[0] ?? "")} to ${step.dir}/${step.files[0] ?? ""}`;
    case "cgroup-owner":
      return `hand over the cgroup ${step.dir} to user ${step.uid}`;
    case "warm-program":
      return `read the program below ${step.root}`;
    case "remove-cgroup":
      return `remove cgroup ${step.dir}`;
    case "unmount-tree":
      return `unmount ${step.path}`;
    case "remove-file":
      return `remove ${step.path}`;
    case "write-pid-file":
      return `write the pid file ${step.path}`;
    case "join-namespaces":
      return `join the namespaces of process ${step.pid}`;
    case "join-paths":
      return `join the namespace${step.namespaces.length > 1 ? "s" : ""} ${step.namespaces.map(({ path }) => path).join(", ")}`;
    case "user-namespace":
      return step.kind === "unshared" ? "create a user namespace" : "become root of the user namespace";
    case "id-maps":
      return "map the ids of the user namespace";
    case "namespaces-ready":
      return "tell that the namespaces are there";
    case "time-namespace":
      return "create a time namespace";
    case "open-source":
      return step.uids === ""
        ? `open ${step.path} for ${step.inside === "" ? "the root" : step.inside}`
        : `id-map the mount on ${step.inside}`;
    case "child-rlimit":
      return `raise ${rlimitName(step.resource)} to ${limitWord(step.hard)}`;
    case "unshare":
      return "create further namespaces";
    case "wait-parent":
      return "wait for the monitor";
    case "mount-propagation":
      return `set the mount propagation of ${step.path}`;
    case "overlay":
      return `mount the overlay of ${step.lowers.length} layers on ${step.target}`;
    case "root":
      return `open the root file system ${step.path}`;
    case "mount":
      return `mount ${step.fstype} on ${step.inside}`;
    case "bind":
      return `bind mount ${step.source} on ${step.inside}`;
    case "mount-attributes":
      return `set the attributes of the mount on ${step.inside}`;
    case "remount":
      return `remount ${step.inside}`;
    case "private-parent":
      return `keep the mounts of the container in ${step.path} from the host`;
    case "root-propagation":
      return "set the mount propagation of the container's root";
    case "make-node":
      return `make device ${step.inside}`;
    case "symlink":
      return `link ${step.inside} to ${step.target}`;
    case "make-inside-dir":
      return `make directory ${step.inside} in the container`;
    case "pivot-root":
      return "make the root file system the root directory";
    case "mask":
      return `mask ${step.path}`;
    case "read-only":
      return `make ${step.path} read-only`;
    case "remount-root":
      return "remount the root file system";
    case "hostname":
      return `set the host name to ${step.name}`;
    case "domainname":
      return `set the domain name to ${step.name}`;
    case "sysctl":
      return `set sysctl ${step.key} to ${step.value}`;
    case "rlimit":
      return `set ${rlimitName(step.resource)} to ${limitWord(step.soft)}:${limitWord(step.hard)}`;
    case "console":
      return "open the container's terminal";
    case "set-session":
      return "start a session";
    case "capabilities":
      return step.phase === "bound" ? "drop capabilities from the bounding set" : "set the capabilities";
    case "ids":
      return `become user ${step.uid}, group ${step.gid}`;
    case "no-new-privs":
      return "set no_new_privs";
    case "seccomp":
      return "load the seccomp filter";
    case "chdir":
      return `change to directory ${step.path}`;
    case "parent-death-signal":
      return "set the parent death signal";
    case "wait-start":
      return "wait for start";
    case "exec":
      return `exec ${step.argv[0] ?? ""}`;
    case "keyring":
      return "join a session keyring";
    case "oom-score":
      return `set the OOM score adjustment to ${step.value}`;
    case "seccomp-listener":
      return "load the seccomp filter with its listener";
    case "scheduler":
      return `set the scheduler to ${schedulerWord(step)}`;
    case "io-priority":
      return `set the I/O priority to ${ioPriorityWord(step.value)}`;
    case "memory-policy":
      return `set the memory policy to ${memoryModes[step.mode & 0xfff] ?? step.mode}`;
    case "personality":
      return `set the execution domain to 0x${step.value.toString(16)}`;
    case "home":
      return `look up the home of user ${step.uid}`;
    case "cpu-affinity":
      return `let it run on ${cpuWords(step.cpus)}`;
    case "security-label":
      return step.module === "apparmor"
        ? `set the AppArmor profile ${step.label}`
        : `set the SELinux label ${step.label}`;
    case "move-device":
      return `move the network device ${step.name} into the container`;
    case "ask-hooks":
      return "wait for the hooks";
    case "run-hook":
      return `run the ${step.label}: ${step.path}`;
    default:
      return unreachable(step);
  }
}

/** RLIMIT_* by number (setrlimit(2)), the same on all architectures we run on. */
export const rlimitNames: readonly string[] = [
  "RLIMIT_CPU",
  "RLIMIT_FSIZE",
  "RLIMIT_DATA",
  "RLIMIT_STACK",
  "RLIMIT_CORE",
  "RLIMIT_RSS",
  "RLIMIT_NPROC",
  "RLIMIT_NOFILE",
  "RLIMIT_MEMLOCK",
  "RLIMIT_AS",
  "RLIMIT_LOCKS",
  "RLIMIT_SIGPENDING",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
];

/** SCHED_* by number; 4 is not in use. @see sched(7) */
export const schedulerPolicies: readonly string[] = [
  "SCHED_OTHER",
  "SCHED_FIFO",
  "SCHED_RR",
  "SCHED_BATCH",
  "SCHED_ISO",
  "SCHED_IDLE",
  "SCHED_DEADLINE",
];

/** @see ioprio_set(2) */
export const ioClasses: readonly string[] = [
  "IOPRIO_CLASS_NONE",
  "IOPRIO_CLASS_RT",
  "IOPRIO_CLASS_BE",
  "IOPRIO_CLASS_IDLE",
];

/** MPOL_* by number. @see set_mempolicy(2) */
export const memoryModes: readonly string[] = [
  "MPOL_DEFAULT",
  "MPOL_PREFERRED",
  "MPOL_BIND",
  "MPOL_INTERLEAVE",
  "MPOL_LOCAL",
  "MPOL_PREFERRED_MANY",
  "MPOL_WEIGHTED_INTERLEAVE",
];

/** "SCHED_FIFO, priority 5" */
export function schedulerWord(step: SchedulerStep): string {
  const policy = schedulerPolicies[step.policy] ?? String(step.policy);
  const nice = step.nice === 0 ? "" : `, nice ${step.nice}`;
  const priority = step.priority === 0 ? "" : `, priority ${step.priority}`;
  return `${policy}${nice}${priority}`;
}

/** "IOPRIO_CLASS_BE, level 4" */
export function ioPriorityWord(value: number): string {
  return `${ioClasses[value >> 13] ?? value >> 13}, level ${value & 0x1fff}`;
}

/** "CPUs 0,2" */
export function cpuWords(cpus: Uint8Array): string {
  if (cpus.length === 0) return "all CPUs of its cpuset";
  const numbers: number[] = [];
  for (let cpu = 0; cpu < cpus.length * 8; cpu++)
    if (((cpus[cpu >> 3] ?? 0) & (1 << (cpu & 7))) !== 0) numbers.push(cpu);
  return `CPUs ${numbers.join(",")}`;
}

/** RLIM_INFINITY */
export const unlimited = 0xffff_ffff_ffff_ffffn;

export function rlimitName(resource: number): string {
  return rlimitNames[resource] ?? `resource limit ${resource}`;
}

export function limitWord(value: bigint): string {
  return value === unlimited ? "unlimited" : String(value);
}

function shorten(data: string): string {
  const line = data.trim();
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}

function unreachable(step: never): never {
  throw new TypeError(`a step of unknown kind: ${JSON.stringify(step)}`);
}

/** "create" of `runc --root … create …`: what stands before are the global flags with their values. */
function runtimeVerb(argv: readonly string[]): readonly string[] {
  const verb = argv.find((word, index) => index > 0 && /^(create|start|exec|delete)$/.test(word));
  return verb === undefined ? [] : [verb];
}
