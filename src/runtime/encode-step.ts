/** One step's payload, native/PROTOCOL.md "Steps": a flat catalogue. */
import { GantryError } from "../lib/index.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { ContainerStep, MonitorStep, NetlinkMessage, SchedulerStep } from "./plan-step.ts";

/** The wire number of each kind of step. */
export const stepOps = {
  "make-dir": 32,
  "write-file": 33,
  "join-cgroup": 34,
  clone: 35,
  netlink: 36,
  "remove-cgroup": 37,
  "remove-file": 38,
  "write-pid-file": 39,
  "cgroup-devices": 40,
  "fill-cpuset": 41,
  limit: 42,
  "cgroup-owner": 43,
  "warm-program": 44,
  "join-namespaces": 64,
  unshare: 66,
  "wait-parent": 67,
  "mount-propagation": 68,
  overlay: 69,
  root: 70,
  mount: 71,
  bind: 72,
  "make-node": 73,
  symlink: 74,
  "make-inside-dir": 75,
  "pivot-root": 76,
  mask: 77,
  "read-only": 78,
  "remount-root": 79,
  hostname: 80,
  domainname: 81,
  sysctl: 82,
  rlimit: 83,
  console: 84,
  "set-session": 85,
  capabilities: 86,
  ids: 87,
  "no-new-privs": 88,
  seccomp: 89,
  chdir: 90,
  "parent-death-signal": 91,
  "wait-start": 92,
  exec: 93,
  keyring: 94,
  "oom-score": 95,
  "enter-cgroup": 98,
  "seccomp-listener": 120,
  scheduler: 121,
  "io-priority": 122,
  "memory-policy": 123,
  personality: 124,
  "cpu-affinity": 125,
  "security-label": 126,
  "move-device": 127,
  home: 128,
  "id-maps": 100,
  "user-namespace": 101,
  "namespaces-ready": 102,
  "time-namespace": 103,
  "join-paths": 104,
  "open-source": 105,
  "child-rlimit": 107,
  "private-parent": 110,
  "mount-attributes": 111,
  "root-propagation": 112,
  remount: 113,
  "unmount-tree": 132,
  "become-parent": 134,
  "private-mounts": 135,
  "run-program": 136,
  adopt: 137,
  "console-listen": 138,
  "child-netlink": 139,
  "ask-hooks": 130,
  "run-hook": 131,
} as const satisfies Record<(MonitorStep | ContainerStep)["do"], number>;

const noPidOffset = 0xffffffff;
const rootModes = { pivot: 0, move: 1, chroot: 2 } as const;
const keepUmask = 0xffffffff;
const nobody = 0xffffffff;
const userKinds = { born: 0, unshared: 1, joined: 2 } as const;
const makeTargets = { no: 0, dir: 1, file: 2, "as-source": 3 } as const;

/** Writes the payload of `step` and returns its op. */
export function writeStep(out: ByteWriter, step: MonitorStep | ContainerStep): number {
  assertNoNul(step);
  writePayload(out, step);
  return stepOps[step.do];
}

/** The C side takes strings up to their NUL: a hidden rest would make it do something else than was planned. */
function assertNoNul(step: MonitorStep | ContainerStep): void {
  for (const [field, value] of Object.entries(step)) {
    if (field === "data" && step.do === "write-file") continue;
    const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (texts.some((text) => typeof text === "string" && text.includes("\0")))
      throw new GantryError("invalid", `the ${field} of the step "${step.do}" holds a NUL byte`);
  }
}

function writePayload(out: ByteWriter, step: MonitorStep | ContainerStep): void {
  switch (step.do) {
    case "make-dir":
      return void out.string(step.path).u32(step.mode).flag(step.parents);
    case "write-file":
      return void out
        .string(step.path)
        .bytes(new TextEncoder().encode(step.data))
        .u32(step.openFlags ?? 0);
    case "join-cgroup":
    case "remove-cgroup":
      return void out.string(step.dir);
    case "clone":
      return void out.u64(step.flags).string(step.intoCgroup ?? "");
    case "netlink":
      return writeNetlink(out, step.protocol, step.messages);
    case "remove-file":
    case "unmount-tree":
    case "write-pid-file":
    case "mask":
    case "read-only":
      return void out.string(step.path);
    case "cgroup-devices":
      return void out.string(step.dir).bytes(step.program);
    case "fill-cpuset":
      return void out.string(step.mount).string(step.path);
    case "limit":
      return void out.string(step.dir).strings(step.files).strings(step.values).flag(step.missingIsFine);
    case "warm-program":
      return void out.string(step.root).strings(step.files);
    case "cgroup-owner":
      return void out.string(step.dir).u32(step.uid);
    case "join-namespaces":
      return void out.i32(step.pid).u64(step.startTime).u64(step.flags);
    case "join-paths":
      out.strings(step.namespaces.map(({ path }) => path)).u32(step.namespaces.length);
      for (const { flag } of step.namespaces) out.u32(Number(flag));
      return;
    case "user-namespace":
      return void out.u32(step.uid).u32(step.gid).u8(userKinds[step.kind]);
    case "id-maps":
      return void out
        .string(step.uids)
        .string(step.gids)
        .u8(bits(step.isUnshared, step.deniesGroups))
        .string(step.newuidmap ?? "")
        .string(step.newgidmap ?? "")
        .u32(step.owner?.uid ?? nobody)
        .u32(step.owner?.gid ?? nobody);
    case "namespaces-ready":
      return;
    case "time-namespace":
      return void out.string(step.offsets);
    case "open-source":
      return void out
        .string(step.inside)
        .string(step.path)
        .u8(bits(step.recursive, step.sourceLink, step.mapsBelow, step.mapsLater))
        .string(step.uids)
        .string(step.gids);
    case "child-rlimit":
      return void out.u32(step.resource).u64(step.hard);
    case "unshare":
    case "remount-root":
      return void out.u64(step.flags);
    case "wait-parent":
    case "ask-hooks":
    case "set-session":
    case "no-new-privs":
      return;
    case "pivot-root":
      return void out.u8(rootModes[step.instead ?? "pivot"]);
    case "mount-propagation":
    case "root":
      return void out.string(step.path).u64(step.flags);
    case "overlay":
      return void out
        .string(step.target)
        .strings(step.lowers)
        .string(step.upper)
        .string(step.work)
        .string(step.options);
    case "mount":
      return void out
        .string(step.source)
        .string(step.inside)
        .string(step.fstype)
        .u64(step.flags)
        .string(step.data)
        .u8(mountBits(step))
        .string(step.fallback ?? "");
    case "bind":
      return void out
        .string(step.source)
        .string(step.inside)
        .u64(step.flags)
        .u64(step.attrSet)
        .u64(step.attrClear)
        .flag(step.recursive)
        .u8(makeTargets[step.makeTarget])
        .u64(step.propagation)
        .u64(step.attrUnset ?? 0n)
        .u8(bindBits(step));
    case "mount-attributes":
      return void out.string(step.inside).u64(step.set).u64(step.clear);
    case "remount":
      return void out.string(step.inside).u64(step.set).u64(step.clear).u64(step.unset).string(step.data);
    case "private-parent":
      return void out.string(step.path);
    case "root-propagation":
      return void out.u64(step.flags);
    case "make-node":
      return void out
        .string(step.inside)
        .u32(step.mode)
        .u32(step.major)
        .u32(step.minor)
        .u32(step.uid)
        .u32(step.gid);
    case "symlink":
      return void out
        .string(step.target)
        .string(step.inside)
        .flag(step.replace === true);
    case "make-inside-dir":
      return void out.string(step.inside).u32(step.mode).u32(step.uid).u32(step.gid);
    case "hostname":
    case "domainname":
      return void out.string(step.name);
    case "keyring":
      return void out.string(step.name).u32(step.rights).string(step.label);
    case "sysctl":
      return void out.string(step.key).string(step.value);
    case "rlimit":
      return void out.u32(step.resource).u64(step.soft).u64(step.hard);
    case "console":
      return void out.flag(step.bindDevConsole);
    case "capabilities":
      return writeCapabilities(out, step);
    case "ids":
      out.u32(step.uid).u32(step.gid).u32(step.groups.length);
      for (const group of step.groups) out.u32(group);
      return void out.u32(step.umask ?? keepUmask);
    case "seccomp":
      return void out.bytes(step.program).u32(step.flags);
    case "chdir":
      return void out.string(step.path).flag(step.make);
    case "parent-death-signal":
      return void out.u32(step.signal);
    case "wait-start":
      return void out.string(step.fifo);
    case "exec":
      return void out.strings(step.argv).strings(step.env).flag(step.useInit);
    case "enter-cgroup":
      return void out.string(step.dir);
    case "become-parent":
      return;
    case "private-mounts":
      return void out.strings(step.hide);
    case "run-program":
      return void out
        .strings(step.argv)
        .strings(step.env)
        .u32(step.seconds)
        .flag(step.stdio)
        .string(step.logPath);
    case "adopt":
      return void out.string(step.pidFile);
    case "console-listen":
      return void out.string(step.path);
    case "child-netlink":
      return writeNetlink(out, step.protocol, step.messages);
    case "oom-score":
      return void out.i32(step.value);
    case "seccomp-listener":
      return void out.bytes(step.program).u32(step.flags).string(step.path).strings(step.state);
    case "scheduler":
      return writeScheduler(out, step);
    case "io-priority":
    case "personality":
      return void out.u32(step.value);
    case "memory-policy":
      return void out.u32(step.mode).bytes(step.nodes);
    case "home":
      return void out.u32(step.uid);
    case "cpu-affinity":
      return void out.bytes(step.cpus);
    case "security-label":
      return void out.u8(step.module === "apparmor" ? 0 : 1).string(step.label);
    case "move-device":
      return void out.string(step.name).string(step.inside).string(step.namespace);
    case "run-hook":
      return void out
        .string(step.label)
        .string(step.path)
        .strings(step.argv)
        .strings(step.env)
        .u32(step.seconds)
        .bytes(new TextEncoder().encode(step.state))
        .u32(step.pidAt)
        .string(step.cwd);
    default:
      return unreachable(step);
  }
}

/** Bit n of the payload's last byte, PROTOCOL.md. */
function bits(...flags: readonly (boolean | undefined)[]): number {
  return flags.reduce((sum, flag, bit) => (flag === true ? sum | (1 << bit) : sum), 0);
}

function mountBits(step: ContainerStep & { readonly do: "mount" }): number {
  const { makeTarget, plain, onProc, inheritMode, keep, copyUp, fallbackReadOnly } = step;
  return bits(makeTarget, plain, onProc, false, inheritMode, keep, copyUp, fallbackReadOnly);
}

function bindBits(step: ContainerStep & { readonly do: "bind" }): number {
  return bits(
    step.sourceLink,
    step.placeLink,
    step.copySymlink,
    step.onProc,
    step.fromProc,
    step.locked,
    step.fromInside,
  );
}

function writeNetlink(out: ByteWriter, protocol: number, messages: readonly NetlinkMessage[]): void {
  out.u32(protocol).u32(messages.length);
  for (const { message, pidOffset, description } of messages)
    out
      .bytes(message)
      .u32(pidOffset ?? noPidOffset)
      .string(description);
}

function writeScheduler(out: ByteWriter, step: SchedulerStep): void {
  out.u32(step.policy).i32(step.nice).u32(step.priority);
  out.u64(step.flags).u64(step.runtime).u64(step.deadline).u64(step.period);
}

function writeCapabilities(out: ByteWriter, step: ContainerStep & { readonly do: "capabilities" }): void {
  const { bounding, effective, permitted, inheritable, ambient } = step.sets;
  for (const mask of [bounding, effective, permitted, inheritable, ambient]) out.u64(mask);
  out.u32(step.phase === "bound" ? 0 : 1);
}

function unreachable(step: never): never {
  throw new GantryError("internal", `a step of unknown kind: ${JSON.stringify(step)}`);
}
