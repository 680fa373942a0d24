/** Every command with its flags, as a flat catalogue: what the help texts show and the parser accepts. */
import type { FlagSpecs } from "./flags.ts";

export interface Command {
  readonly flags: FlagSpecs;
  /** Of the words behind the flags. */
  readonly words: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  readonly about?: string;
  readonly example?: string;
  /** Behind the first word everything belongs to another program. */
  readonly stopAtWord?: boolean;
}

const idWords = "<container-id>";

const bundle: FlagSpecs = {
  bundle: { kind: "text", short: "b", about: "directory of the bundle (default: the current directory)" },
};

const startFlags: FlagSpecs = {
  ...bundle,
  "console-socket": { kind: "text", about: "unix socket that gets the master of the container's terminal" },
  "pidfd-socket": { kind: "text", about: "unix socket that gets a pidfd of the first process" },
  "pid-file": { kind: "text", about: "file to write the pid of the first process to" },
  "no-pivot": {
    kind: "bool",
    about: "leave the root by moving the mount and chroot, for a rootfs on the initial ramdisk",
  },
  "no-new-keyring": { kind: "bool", about: "keep the session keyring of the caller" },
  "preserve-fds": {
    kind: "number",
    about: "further file descriptors that are passed on, behind $LISTEN_FDS",
    default: "0",
  },
};

const noSubreaper: FlagSpecs = {
  "no-subreaper": { kind: "bool", about: "do not adopt processes whose parent has ended" },
};

const detach: FlagSpecs = {
  detach: { kind: "bool", short: "d", about: "return as soon as the process runs" },
};

const format: FlagSpecs = {
  format: { kind: "text", short: "f", about: "table or json", default: '"table"' },
};

const textOrJson: FlagSpecs = {
  format: { kind: "text", short: "f", about: "text or json", default: '"text"' },
};

const criuFlags: FlagSpecs = {
  "image-path": { kind: "text", about: "directory of criu's image files" },
  "work-path": { kind: "text", about: "directory of criu's work files and logs" },
  "tcp-established": { kind: "bool", about: "allow open TCP connections" },
  "ext-unix-sk": { kind: "bool", about: "allow unix sockets that lead outside" },
  "shell-job": { kind: "bool", about: "allow a terminal that is not the container's" },
  "lazy-pages": { kind: "bool", about: "bring memory pages only when they are used (userfaultfd)" },
  "file-locks": { kind: "bool", about: "keep file locks" },
  "manage-cgroups-mode": { kind: "text", about: "ignore, soft (default), full or strict" },
  "empty-ns": { kind: "list", about: "a namespace whose properties are not kept" },
  "auto-dedup": { kind: "bool", about: "drop pages from the images once they are used" },
};

const gives = { kind: "text" } as const;

export const commands: Readonly<Record<string, Command>> = {
  checkpoint: {
    flags: {
      ...criuFlags,
      "parent-path": { ...gives, about: "directory of the images of an earlier --pre-dump" },
      "leave-running": { kind: "bool", about: "the container runs on" },
      "tcp-skip-in-flight": { kind: "bool", about: "leave out TCP connections that are being made" },
      "link-remap": { kind: "bool", about: "files that were deleted while open may be linked back" },
      "status-fd": {
        kind: "number",
        about: "criu writes \\0 there once lazy pages can be asked for",
        default: "-1",
      },
      "page-server": { ...gives, about: "ADDRESS:PORT of the page server" },
      "pre-dump": { kind: "bool", about: "memory alone, and the container runs on" },
    },
    words: idWords,
    summary: "save a running container with criu",
    about: "Keeps the state of the container's processes as files.",
  },
  create: {
    flags: startFlags,
    words: idWords,
    summary: "create a container",
    about:
      "Makes the container of a bundle, a directory with a file config.json and a root file system. Its program\n" +
      "does not run before start.",
  },
  delete: {
    flags: { force: { kind: "bool", short: "f", about: "kill the container (SIGKILL) if it runs" } },
    words: idWords,
    summary: "delete what is held by a container",
    example: "Container web has stopped:\n\n       # gantry-oci delete web",
  },
  events: {
    flags: {
      interval: { ...gives, about: "time between statistics", default: "5s" },
      stats: { kind: "bool", about: "print the statistics once and end" },
    },
    words: idWords,
    summary: "show statistics and out-of-memory events of a container",
  },
  exec: {
    flags: {
      "console-socket": { ...gives, about: "unix socket that gets the master of the process's terminal" },
      "pidfd-socket": { ...gives, about: "unix socket that gets a pidfd of the process" },
      cwd: { ...gives, about: "working directory in the container" },
      env: { kind: "list", short: "e", about: "an environment variable NAME=VALUE" },
      tty: { kind: "bool", short: "t", about: "give the process a terminal" },
      user: { ...gives, short: "u", about: "UID[:GID]" },
      "additional-gids": { kind: "list", short: "g", about: "a further group" },
      process: { ...gives, short: "p", about: "file that describes the process" },
      ...detach,
      "pid-file": { ...gives, about: "file to write the pid of the process to" },
      "process-label": { ...gives, about: "SELinux label of the process" },
      apparmor: { ...gives, about: "AppArmor profile of the process" },
      "no-new-privs": { kind: "bool", about: "the process can gain no rights" },
      cap: { kind: "list", short: "c", about: "a further capability" },
      "preserve-fds": {
        kind: "number",
        about: "further file descriptors that are passed on, behind $LISTEN_FDS",
        default: "0",
      },
      cgroup: { kind: "list", about: "[CONTROLLER:]PATH of an existing cgroup below the container's" },
      "ignore-paused": { kind: "bool", about: "also in a paused container" },
      ...noSubreaper,
    },
    words: `${idWords} <command> [command options]  || -p process.json ${idWords}`,
    summary: "run a further process in a container",
    example: "What runs in container web:\n\n       # gantry-oci exec web ps",
    stopAtWord: true,
  },
  explain: {
    flags: textOrJson,
    words: idWords,
    summary: "tell what was asked of the kernel for a container, and why",
  },
  features: {
    flags: {},
    words: "",
    summary: "show what this program and kernel offer, as JSON",
  },
  kill: {
    flags: { all: { kind: "bool", short: "a", about: "send it to all processes of the container" } },
    words: `${idWords} [signal]`,
    summary: "send a signal (default: SIGTERM) to the first process of a container",
    example: "End container web at once:\n\n       # gantry-oci kill web KILL",
  },
  list: {
    flags: { ...format, quiet: { kind: "bool", short: "q", about: "ids alone" } },
    words: "",
    summary: "list the containers below --root",
  },
  pause: {
    flags: {},
    words: idWords,
    summary: "freeze all processes of a container",
  },
  plan: {
    flags: {
      ...bundle,
      ...textOrJson,
      process: {
        ...gives,
        short: "p",
        about: "file that describes a process: the plan of its exec in a container",
      },
    },
    words: `[${idWords}]`,
    summary: "print what a bundle would ask of the kernel, and why",
  },
  ps: {
    flags: format,
    words: `${idWords} [ps options]`,
    summary: "show the processes of a container",
    stopAtWord: true,
  },
  restore: {
    flags: {
      "console-socket": { ...gives, about: "unix socket that gets the master of the container's terminal" },
      ...criuFlags,
      ...bundle,
      ...detach,
      "pid-file": { ...gives, about: "file to write the pid of the first process to" },
      ...noSubreaper,
      "no-pivot": { kind: "bool", about: "do not use pivot_root, for a rootfs on the initial ramdisk" },
      "lsm-profile": { ...gives, about: "TYPE:NAME of the security profile to use" },
      "lsm-mount-context": { ...gives, about: "the security context of mounts" },
    },
    words: idWords,
    summary: "restore a container from a checkpoint",
    about: "Brings back the processes that checkpoint has kept.",
  },
  resume: {
    flags: {},
    words: idWords,
    summary: "let all processes of a paused container go on",
  },
  run: {
    flags: {
      ...startFlags,
      ...detach,
      keep: { kind: "bool", about: "do not delete the container when it ends" },
      ...noSubreaper,
    },
    words: idWords,
    summary: "create and start a container",
    about:
      "Makes the container of a bundle, a directory with a file config.json and a root file system, runs its\n" +
      "program, waits for the end and deletes it.",
  },
  spec: {
    flags: { ...bundle, rootless: { kind: "bool", about: "for a container without root" } },
    words: "",
    summary: "write a config.json to begin with",
  },
  start: {
    flags: {},
    words: idWords,
    summary: "let the program of a created container run",
  },
  state: {
    flags: {},
    words: idWords,
    summary: "print the state of a container as JSON",
  },
  update: {
    flags: {
      resources: {
        ...gives,
        short: "r",
        about: "file with linux.resources to change, or - for standard input",
      },
      "blkio-weight": { kind: "number", about: "weight of block I/O, 10 to 1000", default: "0" },
      "cpu-period": { ...gives, about: "period of the CPU limit in microseconds" },
      "cpu-quota": { ...gives, about: "CPU time within a period in microseconds" },
      "cpu-burst": { ...gives, about: "unused CPU time that may be saved up, in microseconds" },
      "cpu-share": { ...gives, about: "share of the CPU in relation to others" },
      "cpu-rt-period": { ...gives, about: "period of the real-time CPU limit in microseconds" },
      "cpu-rt-runtime": { ...gives, about: "real-time CPU time within a period in microseconds" },
      "cpu-idle": { ...gives, about: "1: only when nobody else wants the CPU" },
      "cpuset-cpus": { ...gives, about: "the CPUs to use" },
      "cpuset-mems": { ...gives, about: "the memory nodes to use" },
      memory: { ...gives, about: "memory limit in bytes" },
      "memory-reservation": { ...gives, about: "memory, in bytes, that is left when the machine runs short" },
      "memory-swap": { ...gives, about: "memory and swap in bytes; -1: no limit" },
      "pids-limit": { kind: "number", about: "greatest number of processes; -1: no limit", default: "0" },
      "kernel-memory": { ...gives, about: "ignored: the kernel has no such limit any more" },
      "kernel-memory-tcp": { ...gives, about: "ignored, too" },
      "l3-cache-schema": { ...gives, about: "Intel RDT schema of the L3 cache" },
      "mem-bw-schema": { ...gives, about: "Intel RDT schema of memory bandwidth" },
    },
    words: idWords,
    summary: "change the limits of a container",
  },
  validate: {
    flags: { ...bundle, ...textOrJson },
    words: "",
    summary: "print every error of a config.json with its place",
  },
};

export const globalFlags: FlagSpecs = {
  debug: { kind: "bool", about: "tell more" },
  log: { ...gives, about: "file that log lines are appended to", default: '"/dev/stderr"' },
  "log-format": { ...gives, about: "text or json", default: '"text"' },
  root: {
    ...gives,
    about: "directory of the containers' state, best on a tmpfs",
    default: '"/run/gantry-oci"',
  },
  criu: { ...gives, about: "the program criu, for checkpoint and restore", default: '"criu"' },
  "systemd-cgroup": {
    kind: "bool",
    about: "let systemd make the cgroups; linux.cgroupsPath is slice:prefix:name",
  },
  rootless: {
    ...gives,
    about: "whether cgroups that may not be changed are left out: true, false or auto",
    default: '"auto"',
  },
  help: { kind: "bool", short: "h", about: "show help" },
  version: { kind: "bool", short: "v", about: "print the version" },
};
