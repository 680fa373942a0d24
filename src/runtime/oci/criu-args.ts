/** The command lines of criu(8) for a container. Pure. */
import type { OciConfig, OciMount, OciNamespaceType } from "../oci-types.ts";
import type { CriuOptions } from "./criu-flags.ts";

/** What CRIU must be told that lies outside of the container: on restore it is put there by us. */
export interface ExternalMount {
  readonly inside: string;
  /** On the host. */
  readonly source: string;
}

export interface DumpInput {
  readonly config: OciConfig;
  readonly pid: number;
  readonly options: CriuOptions;
  /** Inode numbers of the namespaces that the container joined by path. */
  readonly joined: Readonly<Partial<Record<OciNamespaceType, number>>>;
  /** A v1 freezer cgroup, or the v2 cgroup. */
  readonly freezer: string | undefined;
  /** Those of linux.maskedPaths that are files in the container. */
  readonly maskedFiles: readonly string[];
  /** Cgroup directories that a v1 cgroup mount binds into the container. */
  readonly cgroupBinds: readonly ExternalMount[];
  /** For fd 0, 1 and 2: CRIU's name of a file of the host's, such as `file[18:4]`; empty for others. */
  readonly hostFiles: readonly string[];
}

export interface RestoreInput {
  readonly config: OciConfig;
  readonly options: CriuOptions;
  /** A mount point that shows the container's root. */
  readonly root: string;
  readonly pidFile: string;
  /** Links of the checkpointed process's fds 0, 1 and 2, such as `pipe:[123]`. */
  readonly descriptors: readonly string[];
  /** As DumpInput.hostFiles had them. */
  readonly hostFiles: readonly string[];
  /** Fd numbers of criu's that hold namespaces joined by path. */
  readonly joined: Readonly<Partial<Record<OciNamespaceType, number>>>;
  /** Set when the container's cgroup has another path than at its checkpoint. */
  readonly cgroupRoot: string | undefined;
  readonly cgroupBinds: readonly ExternalMount[];
}

/** Fd of criu's that --status-fd goes to. */
export const statusFdOfCriu = 3;

const dumpSwitches: Readonly<Record<string, string>> = {
  "leave-running": "--leave-running",
  "tcp-established": "--tcp-established",
  "tcp-skip-in-flight": "--skip-in-flight",
  "link-remap": "--link-remap",
  "ext-unix-sk": "--ext-unix-sk",
  "shell-job": "--shell-job",
  "lazy-pages": "--lazy-pages",
  "file-locks": "--file-locks",
  "auto-dedup": "--auto-dedup",
};

/** `criu dump …` or `criu pre-dump …`, without the program's name. */
export function dumpArgs(input: DumpInput): readonly string[] {
  const { config, pid, options, freezer } = input;
  const preDump = options.set.has("pre-dump");
  const args = [
    preDump ? "pre-dump" : "dump",
    "--tree",
    String(pid),
    ...commonArgs(options, "dump.log"),
    ...switchArgs(options, dumpSwitches),
    ...configFile(config),
  ];
  if (freezer !== undefined) args.push("--freeze-cgroup", freezer);
  if (options.parentPath !== undefined) args.push("--prev-images-dir", options.parentPath, "--track-mem");
  else if (preDump) args.push("--track-mem");
  args.push(...pageServerArgs(options));
  if (options.statusFd !== undefined) args.push("--status-fd", String(statusFdOfCriu));
  for (const [type, word] of externalNamespaces) {
    const inode = input.joined[type];
    if (inode !== undefined) args.push("--external", `${word}[${inode}]:${namespaceKey(word)}`);
  }
  if (preDump) return args;
  for (const inside of [
    ...bindMounts(config).map(({ destination }) => destination),
    ...input.cgroupBinds.map((bind) => bind.inside),
    ...(config.linux?.devices ?? []).map(({ path }) => path),
  ])
    args.push("--external", `mnt[${inside}]:${inside}`);
  for (const inside of input.maskedFiles) args.push("--external", `mnt[${inside}]:/dev/null`);
  for (const file of new Set(input.hostFiles)) if (file !== "") args.push("--external", file);
  return args;
}

const restoreSwitches: Readonly<Record<string, string>> = {
  "tcp-established": "--tcp-established",
  "ext-unix-sk": "--ext-unix-sk",
  "shell-job": "--shell-job",
  "lazy-pages": "--lazy-pages",
  "file-locks": "--file-locks",
  "auto-dedup": "--auto-dedup",
};

/** `criu restore …`, without the program's name. The container's process is an orphan afterwards; its pid is in the pid file. */
export function restoreArgs(input: RestoreInput): readonly string[] {
  const { config, options } = input;
  const args = [
    "restore",
    "--restore-detached",
    "--pidfile",
    input.pidFile,
    "--root",
    input.root,
    "--evasive-devices",
    ...commonArgs(options, "restore.log"),
    ...switchArgs(options, restoreSwitches),
    ...configFile(config),
  ];
  if (options.lsmProfile !== undefined) args.push("--lsm-profile", options.lsmProfile);
  if (options.lsmMountContext !== undefined) args.push("--lsm-mount-context", options.lsmMountContext);
  if (input.cgroupRoot !== undefined) args.push("--cgroup-root", input.cgroupRoot);
  for (const { destination, source = "" } of bindMounts(config))
    args.push("--external", `mnt[${destination}]:${source}`);
  for (const { inside, source } of input.cgroupBinds) args.push("--external", `mnt[${inside}]:${source}`);
  for (const { path } of config.linux?.devices ?? []) args.push("--external", `mnt[${path}]:${path}`);
  if ((config.linux?.maskedPaths ?? []).length > 0) args.push("--external", "mnt[/dev/null]:/dev/null");
  for (const [fd, link] of input.descriptors.entries())
    if (link.startsWith("pipe:")) args.push("--inherit-fd", `fd[${fd}]:${link}`);
  for (const [fd, file] of input.hostFiles.entries())
    if (file !== "") args.push("--inherit-fd", `fd[${fd}]:${file}`);
  for (const [type, word] of externalNamespaces) {
    const fd = input.joined[type];
    if (fd !== undefined) args.push("--inherit-fd", `fd[${fd}]:${namespaceKey(word)}`);
  }
  for (const { type, path = "" } of config.linux?.namespaces ?? [])
    if (path !== "" && joinable[type] !== undefined) args.push("--join-ns", `${joinable[type]}:${path}`);
  return args;
}

function commonArgs(options: CriuOptions, log: string): readonly string[] {
  return [
    "--images-dir",
    options.imagePath,
    ...(options.workPath === undefined ? [] : ["--work-dir", options.workPath]),
    "--log-file",
    log,
    "-v4",
    // Its value may be left out, so that getopt wants it in one word.
    `--manage-cgroups=${options.cgroupsMode}`,
    // Interfaces and addresses are made by whoever made those of the first container.
    "--empty-ns",
    "net",
  ];
}

function switchArgs(options: CriuOptions, known: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(known)
    .filter(([flag]) => options.set.has(flag))
    .map(([, word]) => word);
}

function pageServerArgs({ pageServer, set }: CriuOptions): readonly string[] {
  if (pageServer === undefined) return [];
  // With lazy pages criu itself is the server at this address.
  const sends = set.has("lazy-pages") ? [] : ["--page-server"];
  return [...sends, "--address", pageServer.address, "--port", String(pageServer.port)];
}

/** As runc: the annotation names a file of further settings, an empty one turns the default file off. */
function configFile(config: OciConfig): readonly string[] {
  const named = config.annotations?.["org.criu.config"] ?? "/etc/criu/runc.conf";
  return named === "" ? [] : ["--config", named];
}

/** Namespaces that CRIU takes from outside, and its word for them. */
const externalNamespaces: readonly (readonly [OciNamespaceType, string])[] = [
  ["network", "net"],
  ["pid", "pid"],
];

function namespaceKey(word: string): string {
  return `extRoot${word.charAt(0).toUpperCase()}${word.slice(1)}NS`;
}

/** Namespaces that a restored process joins by path. A cgroup namespace cannot be joined. */
const joinable: Readonly<Partial<Record<OciNamespaceType, string>>> = {
  ipc: "ipc",
  uts: "uts",
  mount: "mnt",
  time: "time",
  user: "user",
};

/** Binds of the host's files; CRIU saves every other mount itself. */
export function bindMounts(config: OciConfig): readonly OciMount[] {
  return (config.mounts ?? []).filter(
    ({ type, options = [] }) =>
      type === "bind" || options.some((option) => option === "bind" || option === "rbind"),
  );
}
