/** Where the API is served: unix sockets that only root and the group docker may use, and TCP addresses. */
import { chmodSync, chownSync, lstatSync, readFileSync, renameSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { isIP } from "node:net";
import { dirname, join } from "node:path";
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";

export type ListenAddress =
  | { readonly is: "unix"; readonly path: string }
  | { readonly is: "tcp"; readonly host: string; readonly port: number };

const longestSocketPath = 107;

/** @throws {GantryError} "invalid" for anything but unix:///path and tcp://address:port */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix://") || text.startsWith("/"))
    return { is: "unix", path: checkSocketPath(text.replace(/^unix:\/\//, "")) };
  const match = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]*))(?::(\d{1,5}))?\/?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3] ?? 2375);
  if (match === null || port > 65535 || (host !== "" && host !== "localhost" && isIP(host) === 0)) {
    throw new GantryError("invalid", `invalid host ${JSON.stringify(text.slice(0, 200))}`, {
      hint: "write unix:///path/to/engine.sock or tcp://127.0.0.1:2375",
    });
  }
  // Without an address only this machine is served: whoever reaches the API is root here.
  return { is: "tcp", host: host === "" || host === "localhost" ? "127.0.0.1" : host, port };
}

function checkSocketPath(path: string): string {
  if (!path.startsWith("/")) throw new GantryError("invalid", `the socket's path must be absolute: ${path}`);
  if (Buffer.byteLength(path) > longestSocketPath) {
    throw new GantryError("invalid", `the socket's path is longer than ${longestSocketPath} bytes: ${path}`);
  }
  return path;
}

export function isLoopback(address: ListenAddress): boolean {
  return address.is === "unix" || address.host === "::1" || address.host.startsWith("127.");
}

/** Lets the server listen; resolves with the port for TCP. @throws {GantryError} "conflict" when the address is taken */
export async function listen(server: Server, address: ListenAddress): Promise<void> {
  try {
    if (address.is === "unix") await listenUnix(server, address.path);
    else await started(server, () => server.listen(address.port, address.host));
  } catch (error) {
    if (isErrno(error, "EADDRINUSE")) {
      const where = address.is === "unix" ? address.path : `${address.host}:${address.port}`;
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
async function listenUnix(server: Server, path: string): Promise<void> {
  const fresh = join(dirname(path), `.${process.pid.toString(36)}`);
  rmSync(fresh, { force: true });
  const before = process.umask(0o177);
  try {
    await started(server, () => server.listen(fresh));
  } finally {
    process.umask(before);
  }
  chownSync(fresh, process.getuid?.() ?? 0, dockerGroup());
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

function started(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    start();
  });
}

/** The group that may use dockerd's socket; root's where there is none, ours when we are not root. */
function dockerGroup(): number {
  if (process.getuid?.() !== 0) return process.getgid?.() ?? 0;
  try {
    return Number(/^docker:[^:]*:(\d+):/m.exec(readFileSync("/etc/group", "utf8"))?.[1] ?? 0);
  } catch (error) {
    // ENOENT: a system without groups.
    if (isErrno(error, "ENOENT")) return 0;
    throw error;
  }
}
