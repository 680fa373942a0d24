/** Finds processes by what they hold, when their pid was never told. */
import { isErrno } from "../../lib/index.ts";
import { SIGKILL } from "./signals.ts";

/**
 * Sends SIGKILL to each process whose fd 3 is the socket with this inode: a gantry-init that never answered, and the child
 * it made. The inode belongs to a socket pair of ours, so that nobody else is hit.
 */
export function killHolders(inode: number): void {
  const own = host.pid();
  for (const name of host.readdir("/proc")) {
    if (!/^[0-9]+$/.test(name) || Number(name) === own) continue;
    try {
      if (host.readlink(`/proc/${name}/fd/3`) === `socket:[${inode}]`) host.kill(Number(name), SIGKILL);
    } catch (error) {
      // ENOENT, ESRCH: ended meanwhile, or has no fd 3. EACCES: of another user, so not ours.
      if (!isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) throw error;
    }
  }
}
