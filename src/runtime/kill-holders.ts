/** Finds processes by what they hold, when their pid was never told. */
import { readdirSync, readlinkSync } from "node:fs";
import { isErrno } from "../lib/index.ts";

/**
 * Sends SIGKILL to each process whose fd 3 is the socket with this inode: a monitor that never answered, and the child it
 * made. The inode belongs to a socket pair of ours, so that nobody else is hit.
 */
export function killHoldersOfSocket(inode: number): void {
  for (const name of readdirSync("/proc")) {
    if (!/^[0-9]+$/.test(name) || Number(name) === process.pid) continue;
    try {
      if (readlinkSync(`/proc/${name}/fd/3`) === `socket:[${inode}]`) process.kill(Number(name), "SIGKILL");
    } catch (error) {
      // ENOENT, ESRCH: ended meanwhile, or has no fd 3. EACCES: of another user, so not ours.
      if (!isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) throw error;
    }
  }
}
