/**
 * /dev/shm of a container whose IPC namespace others may join (`--ipc shareable`): a tmpfs on the host, since a mount inside
 * the container cannot be shown in another. Made at each start, gone at each end; all other containers have a tmpfs inside.
 */
import { mkdirSync } from "node:fs";
import { mountFlags } from "../../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { containerPaths } from "../paths.ts";
import { joinedContainer, joinedReference } from "./joined-container.ts";

/** UMOUNT: goes when nobody has a file of it open any more. */
const detach = 2;

/**
 * The host's directory that is the container's /dev/shm: its own, or that of the one whose IPC it joins. Undefined: a tmpfs
 * of its own inside.
 * @throws {GantryError} "invalid" when the joined one does not share it; "conflict" when that does not run
 */
export function sharedMemoryOf(context: EngineContext, record: ContainerRecord): string | undefined {
  const joined = joinedReference(record.host.IpcMode);
  if (joined !== undefined) {
    const { record: other } = joinedContainer(context, record.id, "ipc", joined);
    if (other.host.IpcMode === "shareable") return containerPaths(context.paths, other.id).shm;
    throw new GantryError(
      "invalid",
      `failed to join IPC namespace: container ${joined}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  }
  return record.host.IpcMode === "shareable" ? containerPaths(context.paths, record.id).shm : undefined;
}

/** The same, made where it is the container's own. @throws {GantryError} */
export function prepareSharedMemory(context: EngineContext, record: ContainerRecord): string | undefined {
  const shm = sharedMemoryOf(context, record);
  if (shm === undefined || record.host.IpcMode !== "shareable") return shm;
  releaseSharedMemory(context, record);
  const { MS_NOSUID, MS_NODEV, MS_NOEXEC } = mountFlags;
  try {
    mkdirSync(shm, { recursive: true, mode: 0o700 });
    context.sys.mount(
      "shm",
      shm,
      "tmpfs",
      Number(MS_NOSUID | MS_NODEV | MS_NOEXEC),
      `mode=1777,size=${record.host.ShmSize}`,
    );
  } catch (error) {
    throw toGantryError(error, "mounting shm tmpfs");
  }
  return shm;
}

/** After its end, of whatever kind; what is not mounted is fine. */
export function releaseSharedMemory({ paths, sys }: EngineContext, { id, host }: ContainerRecord): void {
  if (host.IpcMode !== "shareable") return;
  const { shm } = containerPaths(paths, id);
  try {
    // A crash between two starts may have left one above the other.
    for (;;) sys.umount(shm, detach);
  } catch (error) {
    // EINVAL: nothing is mounted (any more). ENOENT: it was never started.
    if (!isErrno(error, "EINVAL", "ENOENT")) throw toGantryError(error, `unmount ${shm}`);
  }
}
