/** A plan in plain English, one sentence a step, for `gantry explain` and `gantry-oci plan`: a flat catalogue. Pure. */
import { capabilityNames, mountFlags } from "../kernel/index.ts";
import { planSections } from "./encode-plan.ts";
import { namespaceFlags } from "./plan-namespaces.ts";
import type {
  CapabilityMasks,
  ContainerStep,
  IdMapsStep,
  MonitorStep,
  OpenSourceStep,
  Plan,
} from "./plan-step.ts";
import {
  cpuWords,
  ioPriorityWord,
  limitWord,
  memoryModes,
  rlimitName,
  schedulerWord,
} from "./step-phrase.ts";

export interface ExplainedStep {
  /** Position in the plan, as error messages count (from 0). */
  readonly index: number;
  readonly section: (typeof planSections)[number];
  readonly text: string;
  /** Completes "because of …"; may be empty. */
  readonly because: string;
}

export function explainPlan(plan: Plan): readonly ExplainedStep[] {
  const explained: ExplainedStep[] = [];
  for (const section of planSections)
    for (const step of plan[section] ?? [])
      explained.push({ index: explained.length, section, text: sentence(step), because: step.because ?? "" });
  return explained;
}

function sentence(step: MonitorStep | ContainerStep): string {
  switch (step.do) {
    case "make-dir":
      return `Make the directory ${step.path}.`;
    case "write-file":
      return `Write ${JSON.stringify(step.data.trim())} to ${step.path}.`;
    case "become-parent":
      return "Become the parent of the process that the runtime leaves behind, to see its end.";
    case "private-mounts":
      return `Make a mount namespace for the monitor, so that the host does not see the container's root${step.hide.length === 0 ? "" : `; hide ${step.hide.join(", ")} in it`}.`;
    case "run-program":
      return `Run ${step.argv.join(" ")}${step.stdio ? " with the container's stdin, stdout and stderr" : ""}, for ${step.seconds} s at most.`;
    case "adopt":
      return `Take over the process whose pid is in ${step.pidFile}.`;
    case "console-listen":
      return `Listen at ${step.path}, where the runtime sends the container's terminal.`;
    case "child-netlink":
      return `In the container's network namespace: ${step.messages.map((message) => message.description).join("; ")}.`;
    case "enter-cgroup":
      return `Enter the cgroup ${step.dir}.`;
    case "join-cgroup":
      return `Put the process into the cgroup ${step.dir}.`;
    case "clone":
      return cloneSentence(step);
    case "netlink":
      return `Network: ${step.messages.map((message) => message.description).join("; ")}.`;
    case "cgroup-devices":
      return `Attach a program of ${step.program.length / 8} instructions to the cgroup ${step.dir} that decides which devices may be used.`;
    case "fill-cpuset":
      return `Give each empty cpuset on the way from ${step.mount} to ${step.mount}${step.path} the cpus and memory nodes of its parent.`;
    case "limit":
      return limitSentence(step);
    case "cgroup-owner":
      return `Make user ${step.uid} the owner of the cgroup ${step.dir}, so that the container manages what lies below.`;
    case "warm-program":
      return `Read the first of ${step.files.join(", ")} below ${step.root} that is a program: the container's memory limit is too small for the kernel's reading ahead.`;
    case "remove-cgroup":
      return `Kill what is left in the cgroup ${step.dir} and remove it.`;
    case "unmount-tree":
      return `Unmount ${step.path} and what is mounted below.`;
    case "remove-file":
      return `Remove ${step.path}.`;
    case "write-pid-file":
      return `Write the process's pid to ${step.path}.`;
    case "join-namespaces":
      return `Enter the ${namespaceWords(step.flags)} of process ${step.pid}, if it is still the one started at tick ${step.startTime}.`;
    case "join-paths":
      return `Enter ${step.namespaces.map(({ path, flag }) => `the ${namespaceWords(flag)} at ${path}`).join(", ")}.`;
    case "user-namespace":
      return `${step.kind === "unshared" ? "Begin a new user namespace and become" : "Become"} user ${step.uid}, group ${step.gid} of the user namespace.`;
    case "id-maps":
      return idMapsSentence(step);
    case "namespaces-ready":
      return "Tell the monitor that all namespaces are there.";
    case "time-namespace":
      return `Begin a new time namespace${step.offsets === "" ? "" : ` with other clocks (${step.offsets.trim().split("\n").join(", ")})`}.`;
    case "open-source":
      return openSourceSentence(step);
    case "child-rlimit":
      return `Raise the limit on ${rlimitName(step.resource)} to ${limitWord(step.hard)} for the container, which could not itself.`;
    case "unshare":
      return `Begin ${newNamespaces(step.flags)}.`;
    case "wait-parent":
      return "Wait until the monitor has done its part.";
    case "mount-propagation":
      return `Make all mounts ${propagationWord(step.flags)}, so that the container's are not seen on the host.`;
    case "overlay":
      return step.upper === ""
        ? `Mount ${step.lowers.length} layers read-only on ${step.target}.`
        : `Mount ${step.lowers.length} layers with ${step.upper} for changes on ${step.target}.`;
    case "root":
      return `Take ${step.path} as the container's root file system.`;
    case "mount":
      return mountSentence(step);
    case "bind":
      return bindSentence(step);
    case "mount-attributes":
      return `Make the mount on ${step.inside}${optionWords(step.set, "")}, now that all in it is made.`;
    case "remount":
      return `Change the mount on ${step.inside}${optionWords(step.set, step.data)}.`;
    case "private-parent":
      return `Make the mounts around ${step.path} private, so that the container's are not seen on the host.`;
    case "root-propagation":
      return `Make the container's root ${propagationWord(step.flags)}.`;
    case "make-node":
      return `Make the ${nodeWord(step.mode)} ${step.inside} (${step.major}:${step.minor}, mode ${(step.mode & 0o7777).toString(8)}).`;
    case "symlink":
      return `Link ${step.inside} to ${step.target}.`;
    case "make-inside-dir":
      return `Make the directory ${step.inside} in the container.`;
    case "pivot-root":
      if (step.instead === "move")
        return 'Move the root file system over "/" and enter it by chroot; the host\'s stays below, out of sight.';
      return step.instead === "chroot"
        ? "Enter the root file system by chroot, in the mount namespace that the container shares."
        : "Make the root file system the root directory and detach the host's.";
    case "mask":
      return `Hide ${step.path}.`;
    case "read-only":
      return `Make ${step.path} read-only.`;
    case "remount-root":
      return "Make the root file system read-only.";
    case "hostname":
      return `Set the host name to ${step.name}.`;
    case "domainname":
      return `Set the domain name to ${step.name}.`;
    case "sysctl":
      return `Set the kernel setting ${step.key} to ${step.value}.`;
    case "rlimit":
      return `Limit ${rlimitName(step.resource)} to ${limitWord(step.soft)}, at most ${limitWord(step.hard)}.`;
    case "console":
      return step.bindDevConsole
        ? "Open a terminal and put it at /dev/console."
        : "Open a terminal in the container.";
    case "set-session":
      return "Begin a session without a terminal.";
    case "capabilities":
      return capabilitySentence(step.sets, step.phase);
    case "ids":
      return idsSentence(step);
    case "no-new-privs":
      return "Forbid gaining rights by executing a program (no_new_privs).";
    case "seccomp":
      return `Load a filter of ${step.program.length / 8} instructions that decides which system calls are allowed.`;
    case "chdir":
      return `Enter the directory ${step.path}${step.make ? ", made if it is missing" : ""}.`;
    case "parent-death-signal":
      return `Get signal ${step.signal} when the parent dies.`;
    case "wait-start":
      return `Wait until ${step.fifo} is opened by start.`;
    case "exec":
      return `Run ${step.argv.map(quoteWord).join(" ")}${step.useInit ? " under a small init" : ""}.`;
    case "keyring":
      return `Begin a session keyring ${step.name}.`;
    case "oom-score":
      return `Set the OOM score adjustment to ${step.value}.`;
    case "seccomp-listener":
      return `Load a filter of ${step.program.length / 8} instructions that decides which system calls are allowed, or asks who listens at ${step.path}.`;
    case "scheduler":
      return `Be scheduled by ${schedulerWord(step)}.`;
    case "io-priority":
      return `Set the I/O priority to ${ioPriorityWord(step.value)}.`;
    case "memory-policy":
      return `Take memory by ${memoryModes[step.mode & 0xfff] ?? step.mode}.`;
    case "personality":
      return `Set the execution domain to 0x${step.value.toString(16)}.`;
    case "home":
      return `Set HOME to what the container's /etc/passwd says of user ${step.uid}.`;
    case "cpu-affinity":
      return `Run on ${cpuWords(step.cpus)}.`;
    case "security-label":
      return step.module === "apparmor"
        ? `Let AppArmor confine the program by the profile ${step.label}.`
        : `Let SELinux label the program ${step.label}.`;
    case "move-device":
      return `Move the network device ${step.name} into the container, as ${step.inside}.`;
    case "ask-hooks":
      return "Wait until the monitor has run the hooks.";
    case "run-hook":
      return `Run the ${step.label}, ${step.path}, for at most ${step.seconds} s.`;
    default:
      return unreachable(step);
  }
}

function idMapsSentence(step: IdMapsStep): string {
  if (step.uids === "") return "Wait until the process is in its namespaces.";
  const ranges = (text: string): string =>
    text
      .trim()
      .split("\n")
      .map((line) => line.replace(/^(\d+) (\d+) (\d+)$/, "$3 from $1 as $2"))
      .join(", ");
  const tool = step.newuidmap ?? step.newgidmap;
  const by = tool === undefined ? "" : `, through ${tool}`;
  return `Map the ids of the user namespace to the host's: users ${ranges(step.uids)}; groups ${ranges(step.gids)}${by}.`;
}

function openSourceSentence(step: OpenSourceStep): string {
  const place = step.inside === "" ? "the container's root" : step.inside;
  const maps =
    step.uids === "" ? "" : `, with its ids mapped${step.mapsBelow === true ? " in all below, too" : ""}`;
  if (step.mapsLater === true) return `Make the id maps for ${step.path} at ${place}.`;
  return `Take ${step.path} of the host for ${place}${maps}.`;
}

function mountSentence(step: ContainerStep & { readonly do: "mount" }): string {
  const filled = step.copyUp === true ? `, with what the image holds there` : "";
  const refused =
    step.fallback === undefined ? "" : `, or show the host's ${step.fallback} where the kernel refuses`;
  return `Mount a ${step.fstype} on ${step.inside}${optionWords(step.flags, step.data)}${filled}${refused}.`;
}

function bindSentence(step: ContainerStep & { readonly do: "bind" }): string {
  const words = optionWords(step.flags, "");
  const below = step.recursive ? optionWords(step.attrSet, "").replace(" (", " (all below, too: ") : "";
  const link = step.copySymlink === true ? "; if it is a symlink, make the same one there" : "";
  return `Show the host's ${step.source} at ${step.inside}${words}${below}${link}.`;
}

function cloneSentence(step: MonitorStep & { readonly do: "clone" }): string {
  const where = step.flags === 0n ? "" : ` in ${newNamespaces(step.flags)}`;
  const into = step.intoCgroup === undefined ? "" : `, born in the cgroup ${step.intoCgroup}`;
  return `Create the process${where}${into}.`;
}

/** "a new pid namespace", "new mount and pid namespaces" */
function newNamespaces(flags: bigint): string {
  const words = namespaceWords(flags);
  return words.endsWith("s") ? `new ${words}` : `a new ${words}`;
}

/** "mount, pid and network namespaces" */
function namespaceWords(flags: bigint): string {
  const names = Object.entries(namespaceFlags)
    .filter(([, flag]) => (flags & flag) !== 0n)
    .map(([name]) => name);
  const last = names.at(-1) ?? "no";
  const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${last}` : last;
  return `${list} namespace${names.length > 1 ? "s" : ""}`;
}

function propagationWord(flags: bigint): string {
  if ((flags & mountFlags.MS_SHARED) !== 0n) return "shared with their peers";
  if ((flags & mountFlags.MS_UNBINDABLE) !== 0n) return "unbindable";
  return (flags & mountFlags.MS_SLAVE) === 0n ? "private" : "one-way (from the host only)";
}

function optionWords(flags: bigint, data: string): string {
  const words = [
    (flags & mountFlags.MS_RDONLY) === 0n ? "" : "read-only",
    (flags & mountFlags.MS_NOSUID) === 0n ? "" : "without set-user-id",
    (flags & mountFlags.MS_NODEV) === 0n ? "" : "without devices",
    (flags & mountFlags.MS_NOEXEC) === 0n ? "" : "without programs",
    data,
  ].filter((word) => word !== "");
  return words.length === 0 ? "" : ` (${words.join(", ")})`;
}

function nodeWord(mode: number): string {
  const type = mode & 0o170000;
  if (type === 0o060000) return "block device";
  return type === 0o010000 ? "pipe" : "device";
}

function capabilitySentence(sets: CapabilityMasks, phase: "bound" | "set"): string {
  const mask = phase === "bound" ? sets.bounding : sets.effective;
  const names = capabilityNames
    .filter((_, bit) => (mask & (1n << BigInt(bit))) !== 0n)
    .map((name) => name.slice(4).toLowerCase());
  const list =
    names.length === 0 ? "none" : names.length === capabilityNames.length ? "all" : names.join(", ");
  return phase === "bound"
    ? `Give up for good every capability but: ${list}.`
    : `Keep these capabilities: ${list}.`;
}

function idsSentence(step: ContainerStep & { readonly do: "ids" }): string {
  const groups = step.groups.length === 0 ? "" : `, further groups ${step.groups.join(", ")}`;
  const umask = step.umask === undefined ? "" : `, umask ${step.umask.toString(8).padStart(4, "0")}`;
  return `Become user ${step.uid}, group ${step.gid}${groups}${umask}.`;
}

function quoteWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return JSON.stringify(word.length > 80 ? `${word.slice(0, 80)}…` : word);
}

function unreachable(step: never): never {
  throw new TypeError(`a step of unknown kind: ${JSON.stringify(step)}`);
}

function limitSentence({
  dir,
  files,
  values,
  missingIsFine,
}: MonitorStep & { readonly do: "limit" }): string {
  const ways = files.map((file, index) => `${JSON.stringify(values[index] ?? "")} to ${dir}/${file}`);
  return `Write ${ways.join(", or, without it, ")}${missingIsFine ? ", if the kernel has it" : ""}.`;
}
