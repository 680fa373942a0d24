/** --pidfd-socket: who listens there gets a pidfd of the process, which no later process of that pid can take over. */
import { toGantryError } from "../../lib/index.ts";
import { resolvePath } from "./paths.ts";

/** @throws {GantryError} "not-found" or "unavailable" when nobody listens */
export function sendPidfd(socket: string | undefined, pid: number): void {
  if (socket === undefined || socket === "") return;
  const path = resolvePath(socket);
  try {
    const connection = host.connect(path);
    try {
      const pidfd = host.pidfdOpen(pid);
      try {
        host.sendFds(connection, "pidfd", [pidfd]);
      } finally {
        host.close(pidfd);
      }
    } finally {
      host.close(connection);
    }
  } catch (error) {
    throw toGantryError(error, `send the pidfd to ${path}`);
  }
}
