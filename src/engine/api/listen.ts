/** Listening: unix sockets that only root and one group may use, TCP addresses, sockets of systemd. */
import { chmodSync, chownSync, lstatSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";

/** What is listened with: servers of HTTP, HTTPS and plain connections. */
export interface Listenable {
  listen(target: object): unknown;
  once(event: "listening" | "error", listener: (error: Error) => void): unknown;
  off(event: "error", listener: (error: Error) => void): unknown;
}

export type Place =
  /** @see listenUnix */
  | { readonly is: "unix"; readonly path: string; readonly group: number }
  | { readonly is: "tcp"; readonly host: string; readonly port: number }
  | { readonly is: "fd"; readonly fd: number };

/** Lets the server listen. @throws {GantryError} "conflict" when the address is taken */
export async function listen(server: Listenable, place: Place): Promise<void> {
  try {
    if (place.is === "unix") await listenUnix(server, place.path, place.group);
    else if (place.is === "fd") await started(server, { fd: place.fd });
    else await started(server, { port: place.port, host: place.host });
  } catch (error) {
    if (isErrno(error, "EADDRINUSE")) {
      const where =
        place.is === "unix"
          ? place.path
          : place.is === "fd"
            ? `fd://${place.fd}`
            : `${place.host}:${place.port}`;
      throw new GantryError("conflict", `cannot listen on ${where}: the address is already in use`, {
        cause: error,
      });
    }
    throw toGantryError(error, "listen");
  }
}

/**
 * The socket appears under its name only when it has its owner and mode, in the place of one that a killed engine left.
 * The caller holds the lock of the state directory, so no living engine listens there.
 */
async function listenUnix(server: Listenable, path: string, group: number): Promise<void> {
  const fresh = join(dirname(path), `.${process.pid.toString(36)}`);
  rmSync(fresh, { force: true });
  const before = process.umask(0o177);
  try {
    await started(server, { path: fresh });
  } finally {
    process.umask(before);
  }
  chownSync(fresh, process.getuid?.() ?? 0, group);
  chmodSync(fresh, 0o660);
  refuseOther(path);
  renameSync(fresh, path);
}

/** What stands there and is no socket is somebody's file. */
function refuseOther(path: string): void {
  try {
    if (lstatSync(path).isSocket()) return;
  } catch (error) {
    // ENOENT: nothing stands there.
    if (isErrno(error, "ENOENT")) return;
    throw error;
  }
  throw new GantryError("conflict", `${path} is there already and is no socket`, {
    hint: "remove it or choose another path",
  });
}

function started(server: Listenable, target: object): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    server.listen(target);
  });
}
