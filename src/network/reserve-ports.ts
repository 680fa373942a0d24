/** Takes ports of the host for a container: bound sockets that nobody reads, so that no other program takes them meanwhile. */
import type { Sys } from "../kernel/index.ts";
import { type ErrorCode, GantryError, isErrno, messageOf } from "../lib/index.ts";
import { tryParseIpv4 } from "./ipv4.ts";
import type { PortRequest, PublishedPort } from "./types.ts";

export type PortBinder = Pick<Sys, "bindPort" | "close">;

export interface ReserveRequest {
  readonly containerId: string;
  readonly name: string;
  /** The container's address. */
  readonly ip: string;
  readonly wanted: readonly PortRequest[];
  /** Ports of other containers of this engine. */
  readonly taken: readonly PublishedPort[];
}

export interface ReservedPorts {
  readonly ports: readonly PublishedPort[];
  readonly fds: readonly number[];
}

const everywhere = "0.0.0.0";

/**
 * A TCP socket is bound but does not listen, and traffic is led elsewhere before it reaches a socket: nothing is swallowed.
 * @throws {GantryError} "conflict" in Docker's words; nothing stays bound
 */
export function reservePorts(sys: PortBinder, request: ReserveRequest): ReservedPorts {
  const ports: PublishedPort[] = [];
  const fds: number[] = [];
  try {
    for (const wish of request.wanted) {
      const { fd, port } = takePort(sys, request, wish, [...request.taken, ...ports]);
      fds.push(fd);
      ports.push(port);
    }
    return { ports, fds };
  } catch (error) {
    for (const fd of fds) sys.close(fd);
    throw error;
  }
}

function takePort(
  sys: PortBinder,
  request: ReserveRequest,
  wish: PortRequest,
  taken: readonly PublishedPort[],
): { fd: number; port: PublishedPort } {
  const hostIp = checkHostIp(wish.hostIp);
  checkPort(wish.containerPort, 1);
  checkPort(wish.hostPort, 0);
  const last = wish.hostPortEnd ?? wish.hostPort;
  for (let hostPort = wish.hostPort; ; hostPort++) {
    try {
      const bound = bind(
        sys,
        request,
        { hostIp, hostPort, containerPort: wish.containerPort, protocol: wish.protocol },
        taken,
      );
      return {
        fd: bound.fd,
        port: { hostIp, hostPort: bound.port, containerPort: wish.containerPort, protocol: wish.protocol },
      };
    } catch (error) {
      // Of a range the next may be free.
      if (!(error instanceof GantryError && error.code === "conflict" && hostPort < last)) throw error;
    }
  }
}

function bind(
  sys: PortBinder,
  request: ReserveRequest,
  port: PublishedPort,
  taken: readonly PublishedPort[],
): { fd: number; port: number } {
  if (taken.some((other) => clash(other, port))) {
    throw failure(
      request,
      "conflict",
      `Bind for ${port.hostIp}:${port.hostPort} failed: port is already allocated`,
    );
  }
  const place = `${port.hostIp}:${port.hostPort}:${request.ip}:${port.containerPort}/${port.protocol}`;
  try {
    return sys.bindPort(port.protocol, port.hostIp, port.hostPort);
  } catch (error) {
    const code: ErrorCode = isErrno(error, "EADDRINUSE")
      ? "conflict"
      : isErrno(error, "EACCES", "EPERM")
        ? "denied"
        : "invalid";
    throw failure(request, code, `failed to bind host port for ${place}: ${words(error)}`);
  }
}

function words(error: unknown): string {
  if (isErrno(error, "EADDRINUSE")) return "address already in use";
  if (isErrno(error, "EADDRNOTAVAIL")) return "cannot assign requested address";
  return messageOf(error);
}

function clash(a: PublishedPort, b: PublishedPort): boolean {
  const sameAddress = a.hostIp === b.hostIp || a.hostIp === everywhere || b.hostIp === everywhere;
  return sameAddress && a.protocol === b.protocol && a.hostPort === b.hostPort && b.hostPort !== 0;
}

function failure({ name, containerId }: ReserveRequest, code: ErrorCode, reason: string): GantryError {
  const hint =
    code === "conflict" ? { hint: "publish another port of the host, or stop what uses this one" } : {};
  return new GantryError(
    code,
    `driver failed programming external connectivity on endpoint ${name} (${containerId}): ${reason}`,
    hint,
  );
}

function checkHostIp(text: string): string {
  if (text === "" || text === everywhere) return everywhere;
  if (text.includes(":")) {
    throw new GantryError(
      "unsupported",
      `port published on ${text}: only IPv4 addresses of the host can be published`,
    );
  }
  if (tryParseIpv4(text) === undefined)
    throw new GantryError("invalid", `invalid IP address to publish a port on: ${JSON.stringify(text)}`);
  return text;
}

function checkPort(port: number, least: number): void {
  if (!Number.isInteger(port) || port < least || port > 65_535)
    throw new GantryError("invalid", `invalid port number: ${port}`);
}
