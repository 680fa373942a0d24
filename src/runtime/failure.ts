/** A FAILED frame as an error in words. Pure. */
import { cloneFlags } from "../kernel/index.ts";
import { type ErrorCode, GantryError } from "../lib/index.ts";
import { allSteps } from "./encode-plan.ts";
import { errnoName, errnoWords } from "./errno-words.ts";
import { foreignFailure } from "./foreign-failure.ts";
import type { Failed } from "./frames.ts";
import type { ContainerStep, HookStep, MonitorStep, Plan } from "./plan-step.ts";
import { signalWords } from "./signal-words.ts";
import { stepPhrase } from "./step-phrase.ts";

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  EEXIST: "conflict",
  EBUSY: "conflict",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  ENOTDIR: "invalid",
  EINVAL: "invalid",
  ELOOP: "invalid",
  ERANGE: "invalid",
  ENAMETOOLONG: "invalid",
  E2BIG: "invalid",
  ENOSPC: "exhausted",
  EMFILE: "exhausted",
  ENFILE: "exhausted",
  ENOMEM: "exhausted",
  EAGAIN: "exhausted",
  EDQUOT: "exhausted",
  EUSERS: "exhausted",
  ENOSYS: "unsupported",
  EOPNOTSUPP: "unsupported",
  ENODEV: "unsupported",
  ETIMEDOUT: "timeout",
};

/** Which step failed and why; code by errno, except at exec, where docker's codes 126 and 127 depend on it. */
export function failureError(plan: Plan, failed: Failed): GantryError {
  const steps = allSteps(plan);
  const step = steps[failed.index];
  const name = errnoName(failed.errno);
  const fields = { step: failed.index, errno: name };
  if (step === undefined) {
    const detail = failed.context === "" ? "" : ` (${failed.context})`;
    return new GantryError("internal", `gantry-init refused the plan: ${errnoWords(failed.errno)}${detail}`, {
      fields,
    });
  }
  const program = step.do === "exec" ? step : programOf(step, steps, failed);
  if (program !== undefined) return execError(program, failed);
  if (step.do === "run-program") return foreignFailure(step, failed.context, errnoWords(failed.errno));
  if (step.do === "run-hook") return hookError(step, failed, fields);
  const phrase = stepPhrase(step);
  // "open /path" says nothing new where the phrase names the path.
  const last = failed.context.split(" ").pop() ?? "";
  const known = failed.context === "" || (last.startsWith("/") && phrase.includes(last));
  const detail = known ? "" : ` (${failed.context})`;
  const message = `${phrase}${detail}: ${errnoWords(failed.errno)} (step ${failed.index + 1} of ${steps.length})`;
  const hint = hintFor(step, name);
  return new GantryError(codes[name] ?? "internal", message, {
    fields,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** runc's words and numbering. gantry-init says in the context what the hook said last. */
function hookError(
  step: HookStep,
  { context, errno }: Failed,
  fields: Readonly<Record<string, string | number>>,
): GantryError {
  const words = context
    .trim()
    .split(/\s*\n\s*/)
    .join("; ");
  // It ran: its own status says more than an errno.
  const ran = /: (exit status|signal) [0-9]|: hook ran past /.test(words);
  const spelled = words.replace(
    /: signal ([0-9]+)/,
    (_, number: string) => `: ${signalWords(Number(number))}`,
  );
  const named = words.startsWith(step.label) ? spelled : `${step.label}: ${step.path}: ${spelled}`;
  const code = errnoName(errno) === "ETIMEDOUT" ? "timeout" : "canceled";
  const message = `error running ${named}${ran ? "" : `: ${errnoWords(errno)}`}`;
  return new GantryError(code, message, { fields: { ...fields, hook: step.label } });
}

type ExecStep = ContainerStep & { readonly do: "exec" };

const taskFailed = "failed to create task for container: unable to start container process: ";

/** Before a filter is loaded, or a created container waits, the program is looked for: what fails then is its exec. */
function programOf(
  step: MonitorStep | ContainerStep,
  steps: readonly (MonitorStep | ContainerStep)[],
  failed: Failed,
): ExecStep | undefined {
  if (step.do !== "wait-start" && step.do !== "seccomp" && step.do !== "seccomp-listener") return undefined;
  return steps.find((each): each is ExecStep => each.do === "exec" && each.argv[0] === failed.context);
}

/** Docker's words: clients, and people, look for `executable file not found in $PATH`. */
function execError(step: ExecStep, failed: Failed): GantryError {
  const command = step.argv[0] ?? "";
  const name = errnoName(failed.errno);
  const fields = { step: failed.index, errno: name, command };
  const quoted = `exec: ${JSON.stringify(command)}`;
  const isDirectory = name === "EISDIR" || failed.context.includes("is a directory");
  if (isDirectory)
    return new GantryError(
      "command-not-executable",
      `${taskFailed}${quoted}: is a directory: permission denied`,
      { fields },
    );
  if (name === "ENOENT" && failed.context.startsWith("interpreter of "))
    // The file is there, but not what its first line names, or its dynamic loader: runc's words, and no more.
    return new GantryError("command-not-found", `${taskFailed}exec ${command}: ${errnoWords(failed.errno)}`, {
      fields,
    });
  if (name === "ENOENT" || name === "ENOTDIR") {
    const words = command.includes("/")
      ? `stat ${command}: ${errnoWords(failed.errno)}`
      : "executable file not found in $PATH";
    return new GantryError("command-not-found", `${taskFailed}${quoted}: ${words}`, { fields });
  }
  if (name === "ENOEXEC")
    return new GantryError("command-not-executable", `${taskFailed}exec ${command}: exec format error`, {
      fields,
      hint: "the file is for another architecture, or a script without a first line such as #!/bin/sh",
    });
  if (name === "EACCES" || name === "EPERM" || name === "ELOOP" || name === "ETXTBSY")
    return new GantryError("command-not-executable", `${taskFailed}${quoted}: ${errnoWords(failed.errno)}`, {
      fields,
    });
  return new GantryError(codes[name] ?? "internal", `${taskFailed}${quoted}: ${errnoWords(failed.errno)}`, {
    fields,
  });
}

function hintFor(step: MonitorStep | ContainerStep, errno: string): string | undefined {
  // gantry-init's word for a child that got SIGKILL on its way.
  if (errno === "ECANCELED")
    return "a memory limit that is too small for the start kills the process: raise it; see: dmesg";
  switch (step.do) {
    case "bind":
      if (errno === "EACCES" || errno === "EOVERFLOW") return hintForPlace;
      return errno === "ENOENT"
        ? `create ${step.source} on the host, or correct the mount's source`
        : undefined;
    case "overlay":
      if (errno === "ENODEV") return "load the kernel module overlay: modprobe overlay";
      if (errno === "EINVAL")
        return "is the data directory itself on an overlay? use --root on an ext4 or xfs file system";
      return errno === "ENOSPC" ? "free disk space, for example with: gantry system prune" : undefined;
    case "clone":
      if (errno === "EPERM")
        return (step.flags & cloneFlags.CLONE_NEWUSER) === 0n
          ? "run as root"
          : "this kernel is set to refuse user namespaces to ordinary users; see /proc/sys/kernel/unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns";
      if (errno === "ENOSPC" || errno === "EUSERS")
        return "raise the limits in /proc/sys/user/max_*_namespaces";
      return errno === "EINVAL" ? "a namespace type of the config is not built into this kernel" : undefined;
    case "mount":
      if (errno === "EACCES" || errno === "EOVERFLOW") return hintForPlace;
      return errno === "ENODEV"
        ? `this kernel has no file system ${step.fstype}`
        : hintForMount(step.fstype, errno);
    case "rlimit":
      return errno === "EPERM"
        ? "the hard limit is above the engine's own; lower it, or raise the engine's"
        : undefined;
    case "sysctl":
      if (errno === "ENOENT") return "this kernel has no such setting";
      return errno === "EACCES" || errno === "EROFS"
        ? "only settings of the container's own namespaces can be changed"
        : undefined;
    case "enter-cgroup":
    case "join-cgroup":
      if (errno === "EBUSY") return "the cgroup hands controllers to children and holds no processes itself";
      return errno === "ENOSPC" ? "its cpuset has no cpus or memory nodes" : undefined;
    case "write-file":
      return hintForWrite(step.path, errno);
    case "limit":
      return hintForWrite(`${step.dir}/${step.files[0] ?? ""}`, errno);
    case "fill-cpuset":
      return "a parent has no cpus or memory nodes that its child may use; see its cpuset.cpus and cpuset.mems";
    case "open-source":
      return hintForSource(step.uids !== "", errno);
    case "id-maps":
      return hintForMaps(errno);
    case "join-paths":
      if (errno === "ENOENT") return "its process has ended, or the file was unmounted: name one that exists";
      return errno === "EPERM" ? "it belongs to a user namespace in which you have no rights" : undefined;
    case "time-namespace":
      if (errno === "EINVAL") return "this kernel has no time namespaces";
      return errno === "ERANGE"
        ? "a clock would be negative, or past its end: correct linux.timeOffsets"
        : undefined;
    case "join-namespaces":
      return errno === "ESRCH" ? "the container is not running any more" : undefined;
    case "seccomp":
      return errno === "EINVAL"
        ? "this kernel has no seccomp filters, or lacks a flag of the profile"
        : undefined;
    case "seccomp-listener":
    case "scheduler":
    case "io-priority":
    case "memory-policy":
    case "security-label":
    case "move-device":
    case "keyring":
      return hintForProcess(step.do, errno);
    default:
      return undefined;
  }
}

const hintForPlace =
  "in a user namespace its root must be able to make the mount point: give the root file system to the host id that is mapped for it, or make the mount point beforehand";

/** What a user namespace may mount is a question of who owns the namespace that the file system shows. */
function hintForMount(fstype: string, errno: string): string | undefined {
  if (errno !== "EPERM") return undefined;
  if (fstype === "proc")
    return "in a user namespace this needs a pid namespace of its own, and a /proc on the host with nothing mounted in it; else bind /proc";
  if (fstype === "mqueue" || fstype === "sysfs" || fstype.startsWith("cgroup"))
    return "in a user namespace this needs a namespace (ipc, network, cgroup) that belongs to it: leave its path out in linux.namespaces, or bind the host's";
  return undefined;
}

function hintForSource(isMapped: boolean, errno: string): string | undefined {
  if (errno === "ENOENT") return "create it on the host, or correct the source";
  if (!isMapped) return undefined;
  if (errno === "EINVAL")
    return "this file system, or one mounted below it, has no id-mapped mounts on this kernel; ext4, xfs, btrfs and tmpfs have";
  return errno === "EPERM" ? "it is id-mapped already, or mounted by another user namespace" : undefined;
}

function hintForMaps(errno: string): string | undefined {
  if (errno === "EINVAL")
    return "ranges must not overlap, at most 340, and their host ids must exist where this runs";
  return errno === "EPERM"
    ? "only root, or newuidmap and newgidmap with ranges of yours in /etc/subuid and /etc/subgid, may map these host ids"
    : undefined;
}

/** By step and errno. */
const processHints: Readonly<Record<string, string>> = {
  "seccomp-listener ENOENT": "nobody listens there: start the agent of linux.seccomp.listenerPath first",
  "seccomp-listener ECONNREFUSED":
    "nobody listens there: start the agent of linux.seccomp.listenerPath first",
  "seccomp-listener EBUSY": "the process has a filter with a listener already",
  "scheduler EPERM":
    "real time and a better nice value need CAP_SYS_NICE on the host, and with group scheduling cpu.rt_runtime_us of the cgroup; for SCHED_DEADLINE a process scheduler can't be used together with AllowedCPUs (resources.cpu.cpus)",
  "scheduler EBUSY": "the deadlines of all processes together would take more than the machine has",
  "scheduler EINVAL": "the kernel does not know the policy, or its times contradict each other",
  "io-priority EPERM": "IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE on the host",
  "memory-policy EINVAL": "the nodes must exist, be among those of the cpuset, and fit the mode",
  "memory-policy ENOSYS": "this kernel is not built for several memory nodes",
  "security-label EOPNOTSUPP": "leave the label out of the config, or boot with the security module",
  "security-label ENOENT": "load the profile first, for example with apparmor_parser",
  "move-device ENODEV": "the host has no such device; see: ip link",
  "move-device EEXIST": "the container has a device of that name already",
  "move-device EINVAL":
    "this device cannot leave its network namespace, as those made by bridges and loopback",
  "keyring EDQUOT": "too many keys of this user: raise /proc/sys/kernel/keys/maxkeys",
};

function hintForProcess(step: string, errno: string): string | undefined {
  return processHints[`${step} ${errno}`];
}

function hintForWrite(path: string, errno: string): string | undefined {
  if (path.includes("memory.memsw") && errno === "ENOENT")
    return "swap accounting is off: boot with swapaccount=1, or leave the swap limit out";
  if (path.includes("cgroup.subtree_control") && errno === "EBUSY")
    return "processes live in that cgroup: move them into a child of it first";
  if (path.includes("memory") && errno === "EBUSY") return "the limit is below what is in use";
  if (path.includes("cpuset") && errno === "EINVAL")
    return "ask only for cpus and memory nodes that this machine has";
  if (path.includes("/sys/fs/cgroup") && errno === "ENOENT") return "this kernel does not offer that limit";
  return undefined;
}
