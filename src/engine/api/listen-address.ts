/** Addresses of the API: `unix:///path`, `tcp://address:port`, `fd://` for sockets that systemd hands over. Pure. */
import { isIP } from "node:net";
import { GantryError } from "../../lib/index.ts";

export type ListenAddress =
  | { readonly is: "unix"; readonly path: string }
  | {
      readonly is: "tcp";
      readonly host: string;
      /** undefined: docker's for what is spoken there. */ readonly port: number | undefined;
    }
  | { readonly is: "fd"; /** "": all. */ readonly name: string };

const longestSocketPath = 107;

/** @throws {GantryError} "invalid" */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix://") || text.startsWith("/"))
    return { is: "unix", path: checkSocketPath(text.replace(/^unix:\/\//, "")) };
  const fd = /^fd:\/\/([\w.@:-]*|\*)$/.exec(text)?.[1];
  if (fd !== undefined) return { is: "fd", name: fd === "*" ? "" : fd };
  const match = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]*))(?::(\d{1,5}))?\/?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (match === null || (port ?? 0) > 65535 || (host !== "" && host !== "localhost" && isIP(host) === 0)) {
    throw new GantryError("invalid", `invalid host ${JSON.stringify(text.slice(0, 200))}`, {
      hint: "write unix:///path/to/engine.sock, tcp://127.0.0.1:2375 or fd://",
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

/** True for what only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
