/** `gantry-oci restore`: CRIU makes a container's processes from the files of a checkpoint. */
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import type { OciNamespaceType } from "../oci-types.ts";
import { firstState } from "./begin.ts";
import { type Bundle, readBundle } from "./bundle.ts";
import { freezerFile, removeCgroups } from "./cleanup.ts";
import { cgroupsPathOf } from "./container-cgroups.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { neededFeatures, runCriu, usableCriu } from "./criu.ts";
import { bindMounts, restoreArgs } from "./criu-args.ts";
import { type CriuOptions, criuOptions } from "./criu-flags.ts";
import { cgroupBinds, type Descriptors, descriptorsFile, type ImageNote, imageNote } from "./criu-files.ts";
import { expectWords } from "./flags.ts";
import { hostCgroups } from "./host-cgroups.ts";
import { makeMountPoint } from "./mount-point.ts";
import { O_RDONLY } from "./open-flags.ts";
import { resolvePath } from "./paths.ts";
import { readStat } from "./process-identity.ts";
import { programName } from "./program-name.ts";

const maxNoteBytes = 64 << 10;

export function restore({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("restore", flags, 1);
  const dir = new ContainerDir(global.root, id);
  if (dir.exists)
    throw new GantryError("conflict", "container with given ID already exists", {
      hint: `delete it first: ${programName()} delete ${id}`,
    });
  const given = criuOptions(flags);
  const options: CriuOptions = {
    ...given,
    imagePath: resolvePath(given.imagePath),
    workPath: given.workPath === undefined ? undefined : resolvePath(given.workPath),
  };
  const bundle = readBundle(flags.text("bundle"), id, global.systemdCgroup);
  const image = readImage(options.imagePath);
  if (image.note.terminal && !options.set.has("shell-job"))
    throw new GantryError("unsupported", "a container with a terminal of its own cannot be restored", {
      hint: "checkpoint one without process.terminal, or use --shell-job for both to take the caller's terminal",
    });
  const criu = usableCriu(global.criu, neededFeatures(options.set, false));
  if (!flags.is("detach") && !flags.is("no-subreaper")) host.becomeSubreaper();
  dir.make();
  const restored = dir.locked(() =>
    restoreLocked(dir, bundle, { criu, options, image, input: { global, flags } }),
  );
  return flags.is("detach") ? 0 : stay(dir, restored);
}

interface Image {
  readonly descriptors: Descriptors;
  readonly note: ImageNote;
}

interface RestoreWork {
  readonly criu: string;
  readonly options: CriuOptions;
  readonly image: Image;
  readonly input: VerbInput;
}

/** @throws {GantryError} "not-found" when the directory holds no checkpoint of a container */
function readImage(imagePath: string): Image {
  const read = (file: string): unknown => {
    try {
      return JSON.parse(host.readFile(`${imagePath}/${file}`, maxNoteBytes));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      throw toGantryError(error, `read ${imagePath}/${file}`);
    }
  };
  const descriptors = read(descriptorsFile);
  if (!Array.isArray(descriptors) || !descriptors.every((link) => typeof link === "string"))
    throw new GantryError(
      "not-found",
      `there is no checkpoint in ${imagePath}: it has no ${descriptorsFile}`,
      {
        hint: "name the directory of a checkpoint with --image-path",
      },
    );
  // Images of runc have no note.
  const note = (read(imageNote) ?? {}) as Partial<ImageNote>;
  return {
    descriptors,
    note: {
      cgroupsPath: note.cgroupsPath ?? "",
      terminal: note.terminal === true,
      hostFiles: note.hostFiles ?? [],
    },
  };
}

function restoreLocked(dir: ContainerDir, bundle: Bundle, work: RestoreWork): StoredState {
  const cgroups = hostCgroups();
  const { global, flags } = work.input;
  const first = firstState(dir.id, bundle, {
    freezer: freezerFile(cgroups, bundle.config.linux?.cgroupsPath ?? ""),
    systemdCgroup: global.systemdCgroup,
  });
  try {
    dir.write(first);
    const pid = runRestore(dir, first, work);
    const startTime = readStat(pid)?.startTime;
    if (startTime === undefined)
      throw new GantryError("unavailable", `the restored process ${pid} has ended at once`);
    const stored = { ...first, process: { pid, startTime } };
    dir.write(stored);
    const pidFile = flags.text("pid-file") ?? "";
    if (pidFile !== "") host.replaceFile(resolvePath(pidFile), String(pid), 0o644);
    return stored;
  } catch (error) {
    removeCgroups(first);
    dir.remove();
    throw error;
  }
}

/** The pid of the container's first process. */
function runRestore(dir: ContainerDir, stored: StoredState, { criu, options, image }: RestoreWork): number {
  const { config } = stored;
  const cgroupsPath = cgroupsPathOf(stored);
  const pidFile = `${dir.path}/criu.pid`;
  const root = `${dir.path}/criu-root`;
  host.mkdir(root, 0o755);
  makeMountPoints(stored);
  const { fds, joined } = openJoined(stored);
  try {
    const args = restoreArgs({
      config,
      options,
      root,
      pidFile,
      descriptors: image.descriptors,
      hostFiles: image.note.hostFiles,
      joined,
      cgroupRoot:
        image.note.cgroupsPath === cgroupsPath || image.note.cgroupsPath === "" ? undefined : cgroupsPath,
      cgroupBinds: cgroupBinds(config, hostCgroups(), cgroupsPath),
    });
    const logFile = `${options.workPath ?? options.imagePath}/restore.log`;
    // CRIU wants a root that is a mount point: one in a mount namespace that ends with it, so that nothing can be left.
    const script = 'mount --rbind "$1" "$2" && shift 2 && exec "$@"';
    const shell = [
      "--mount",
      "--propagation",
      "slave",
      "--",
      "/bin/sh",
      "-c",
      script,
      "sh",
      stored.rootfs,
      root,
    ];
    runCriu("/usr/bin/unshare", [...shell, criu, ...args], { fds, logFile });
  } finally {
    for (const fd of fds) host.close(fd);
  }
  return readPid(pidFile);
}

/** As a fresh bundle lacks what the first start has made in its root. */
function makeMountPoints({ config, rootfs }: StoredState): void {
  const temporary = (config.mounts ?? [])
    .filter(({ type }) => type === "tmpfs")
    .map(({ destination }) => destination);
  const binds = new Set(bindMounts(config));
  for (const mount of config.mounts ?? []) {
    const covered = temporary.some((dir) => mount.destination.startsWith(`${dir}/`));
    if (covered || mount.type === "cgroup") continue;
    const isFile =
      binds.has(mount) && host.access(mount.source ?? "", 0) && host.stat(mount.source ?? "").kind !== "dir";
    makeMountPoint(rootfs, mount.destination, isFile);
  }
}

/** Fds of the namespaces that CRIU takes from outside, as it numbers them. */
function openJoined({ config }: StoredState): {
  readonly fds: readonly number[];
  readonly joined: Partial<Record<OciNamespaceType, number>>;
} {
  const fds: number[] = [];
  const joined: Partial<Record<OciNamespaceType, number>> = {};
  for (const { type, path = "" } of config.linux?.namespaces ?? []) {
    if (path === "") continue;
    if (type === "cgroup")
      throw new GantryError(
        "unsupported",
        "linux.namespaces: CRIU cannot restore into an existing cgroup namespace",
      );
    if (type !== "network" && type !== "pid") continue;
    joined[type] = 3 + fds.length;
    try {
      fds.push(host.open(path, O_RDONLY, 0));
    } catch (error) {
      throw toGantryError(error, `linux.namespaces: the ${type} namespace ${path} is not there`);
    }
  }
  return { fds, joined };
}

function readPid(file: string): number {
  const text = host.readFile(file, 64).trim();
  if (!/^[1-9][0-9]*$/.test(text))
    throw new GantryError("internal", `criu has written no pid to ${file}: ${JSON.stringify(text)}`);
  return Number(text);
}

/** Waits for the end of the process, which is our child now, and removes what the container held. */
function stay(dir: ContainerDir, stored: StoredState): number {
  const code = host.waitPid(stored.process?.pid ?? 0, -1) ?? 0;
  dir.locked(() => {
    removeCgroups(stored);
    dir.remove();
  });
  return code;
}
