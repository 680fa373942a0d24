/** The DNS server of one network, on its gateway's address: UDP and TCP. */
import { GantryError, isErrno } from "../../lib/index.ts";
import { type Ipv4, type Subnet, subnetHas, tryParseIpv4 } from "../ipv4.ts";
import { decide, noSuchName, serverFailure, type Zone } from "./answer.ts";
import type { Forwarder } from "./forward.ts";
import { TcpService } from "./tcp-service.ts";

export interface DnsServerOptions {
  /** The gateway's address. */
  readonly address: string;
  readonly subnet: Subnet;
  /** Of an internal network: nothing is asked of the world. */
  readonly internal: boolean;
  readonly zone: () => Zone;
  /** The servers for questions of the container with this address. */
  readonly upstreams: (client: Ipv4) => readonly string[];
  readonly forwarder: Forwarder;
  /** Port that is tried first. */
  readonly port: number;
}

/**
 * Listens on a port of its own, not on 53: nftables leads questions for port 53 of the gateway here, so that neither a name
 * server of the host on 0.0.0.0:53 nor a container that publishes port 53 is in the way.
 */
export class DnsServer {
  readonly port: number;
  readonly #udp: Bun.udp.Socket<"buffer">;
  readonly #tcp: TcpService;

  private constructor(udp: Bun.udp.Socket<"buffer">, tcp: TcpService) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.port = udp.port;
  }

  /** @throws {GantryError} "unavailable" when no port of the address can be bound */
  static async start(options: DnsServerOptions): Promise<DnsServer> {
    // The same port for both; one that the kernel picks for UDP may be taken for TCP, hence several tries.
    for (const port of [options.port, 0, 0, 0]) {
      const server = await DnsServer.#tryStart(options, port);
      if (server !== undefined) return server;
    }
    throw new GantryError("unavailable", `no free port for DNS on ${options.address}`);
  }

  static async #tryStart(options: DnsServerOptions, port: number): Promise<DnsServer | undefined> {
    const udp = await bindUdp(options, port);
    if (udp === undefined) return undefined;
    try {
      return new DnsServer(
        udp,
        new TcpService(options.address, udp.port, (message, client) =>
          respond(options, message, client, "tcp"),
        ),
      );
    } catch (error) {
      udp.close();
      if (isErrno(error, "EADDRINUSE")) return undefined;
      throw error;
    }
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
  }
}

async function bindUdp(
  options: DnsServerOptions,
  port: number,
): Promise<Bun.udp.Socket<"buffer"> | undefined> {
  try {
    return await Bun.udpSocket({
      hostname: options.address,
      port,
      socket: {
        data(socket, bytes, clientPort, client) {
          void respond(options, Uint8Array.from(bytes), client, "udp").then((answer) => {
            // A full send buffer drops the datagram, as any network may; the client asks again.
            if (answer !== undefined && !socket.closed) socket.send(answer, clientPort, client);
          });
        },
        error() {
          // ICMP errors of clients that have gone: nothing to do.
        },
      },
    });
  } catch (error) {
    if (isErrno(error, "EADDRINUSE")) return undefined;
    throw error;
  }
}

/** The answer to a client, or undefined for silence. Never rejects. */
async function respond(
  options: DnsServerOptions,
  message: Uint8Array,
  client: string,
  transport: "udp" | "tcp",
): Promise<Uint8Array | undefined> {
  const address = tryParseIpv4(client);
  if (address === undefined || !subnetHas(options.subnet, address)) return undefined;
  try {
    const decision = decide(options.zone(), message);
    if (decision.kind === "answer") return decision.bytes;
    if (decision.kind === "ignore") return undefined;
    if (options.internal) return noSuchName(message);
    const servers = options.upstreams(address);
    return (await options.forwarder.ask({ message, client, transport, servers })) ?? serverFailure(message);
  } catch {
    // The codec cannot encode a name that it could decode (labels that are not text): no name of ours.
    return undefined;
  }
}
