/** `gantry-oci checkpoint`: CRIU writes a container's processes into files. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { OciNamespaceType } from "../oci-types.ts";
import { removeCgroups } from "./cleanup.ts";
import { cgroupsPathOf } from "./container-cgroups.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { neededFeatures, runCriu, usableCriu } from "./criu.ts";
import { dumpArgs } from "./criu-args.ts";
import { type CriuOptions, criuOptions } from "./criu-flags.ts";
import {
  cgroupBinds,
  type Descriptors,
  descriptorsFile,
  hostFileName,
  type ImageNote,
  imageNote,
} from "./criu-files.ts";
import { expectWords } from "./flags.ts";
import { runHooksToTheEnd } from "./hooks.ts";
import { hostCgroups, tryReadText } from "./host-cgroups.ts";
import { hookState, shownState } from "./oci-state.ts";
import { makeDirs, resolvePath } from "./paths.ts";

/** Nothing is made before CRIU has shown that it works here, and a container whose dump fails goes on. */
export function checkpoint({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("checkpoint", flags, 1);
  const dir = new ContainerDir(global.root, id);
  dir.locked(() => {
    const stored = dir.read();
    const { status } = shownState(dir, stored);
    if (status !== "running" && status !== "paused")
      throw new GantryError("conflict", `Container cannot be checkpointed in ${status} state`);
    const options = withAbsolutePaths(criuOptions(flags));
    assertParent(options);
    const criu = usableCriu(global.criu, neededFeatures(options.set, options.parentPath !== undefined));
    dump(criu, stored, options);
    if (options.set.has("leave-running") || options.set.has("pre-dump")) return;
    removeCgroups(stored);
    const hooks = stored.config.hooks?.poststop;
    if (hooks !== undefined) runHooksToTheEnd("poststop", hooks, hookState(shownState(dir, stored)));
    dir.remove();
  });
  return 0;
}

function withAbsolutePaths(options: CriuOptions): CriuOptions {
  return {
    ...options,
    imagePath: resolvePath(options.imagePath),
    workPath: options.workPath === undefined ? undefined : resolvePath(options.workPath),
  };
}

function assertParent({ imagePath, parentPath }: CriuOptions): void {
  if (parentPath === undefined) return;
  const path = resolvePath(parentPath, imagePath);
  if (!host.access(path, 0) || host.stat(path).kind !== "dir")
    throw new GantryError("not-found", `invalid --parent-path: there is no directory ${path}`, {
      hint: "it is relative to --image-path",
    });
}

function dump(criu: string, stored: StoredState, options: CriuOptions): void {
  const { config } = stored;
  const pid = stored.process?.pid ?? 0;
  const descriptors: Descriptors = [0, 1, 2].map((fd) => linkOf(pid, fd));
  const hostFiles = descriptors.map((link, fd) => (link.startsWith("/") ? (hostFile(pid, fd) ?? "") : ""));
  for (const path of [options.imagePath, options.workPath ?? options.imagePath]) makeDirs(path, 0o700);
  const args = dumpArgs({
    config,
    pid,
    options,
    joined: joinedNamespaces(stored),
    freezer:
      stored.freezer === undefined ? undefined : stored.freezer.slice(0, stored.freezer.lastIndexOf("/")),
    maskedFiles: (config.linux?.maskedPaths ?? []).filter((path) => isFileInside(pid, path)),
    cgroupBinds: cgroupBinds(config, hostCgroups(), cgroupsPathOf(stored)),
    hostFiles,
  });
  if (!options.set.has("pre-dump")) {
    host.replaceFile(`${options.imagePath}/${descriptorsFile}`, JSON.stringify(descriptors), 0o600);
    host.replaceFile(
      `${options.imagePath}/${imageNote}`,
      JSON.stringify({
        cgroupsPath: cgroupsPathOf(stored),
        terminal: config.process?.terminal === true,
        hostFiles,
      } satisfies ImageNote),
      0o600,
    );
  }
  const logFile = `${options.workPath ?? options.imagePath}/dump.log`;
  runCriu(criu, args, { fds: options.statusFd === undefined ? [] : [options.statusFd], logFile });
}

function linkOf(pid: number, fd: number): string {
  try {
    return host.readlink(`/proc/${pid}/fd/${fd}`);
  } catch (error) {
    throw toGantryError(error, `read what fd ${fd} of process ${pid} is`);
  }
}

/** Such as the /dev/null that a daemon has given. */
function hostFile(pid: number, fd: number): string | undefined {
  const mounts = tryReadText(`/proc/${pid}/mountinfo`) ?? "";
  const info = tryReadText(`/proc/${pid}/fdinfo/${fd}`) ?? "";
  return hostFileName(info, mounts, host.stat(`/proc/${pid}/fd/${fd}`).ino);
}

function joinedNamespaces({ config }: StoredState): Partial<Record<OciNamespaceType, number>> {
  const joined: Partial<Record<OciNamespaceType, number>> = {};
  for (const { type, path = "" } of config.linux?.namespaces ?? [])
    if (path !== "") joined[type] = host.stat(path).ino;
  return joined;
}

function isFileInside(pid: number, path: string): boolean {
  const inside = `/proc/${pid}/root${path}`;
  return host.access(inside, 0) && host.stat(inside).kind !== "dir";
}
