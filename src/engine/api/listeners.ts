/** All places where the API is served, from the first connection to the last. */
import { rmSync } from "node:fs";
import {
  connect,
  createServer as createPlainServer,
  type Server as PlainServer,
  type Socket,
} from "node:net";
import { GantryError, isErrno, type Logger } from "../../lib/index.ts";
import { queueClients } from "../upgrade.ts";
import type { Api } from "./create-api.ts";
import { listen } from "./listen.ts";
import { isLoopback, type ListenAddress } from "./listen-address.ts";
import type { ApiServer } from "./server.ts";
import type { TlsIdentity } from "./tls-identity.ts";

/** Answers that were begun when the engine is told to end have this long. */
const answerDeadlineMs = 300;
/** By then the last client of a queue has been accepted. */
const queueMs = 5000;
/** Docker's ports, without and with TLS. */
const usualPorts = { plain: 2375, tls: 2376 } as const;

export interface ListenersOptions {
  readonly api: Api;
  readonly logger: Logger;
  /** Whose members may use unix sockets. */
  readonly group: number;
  /** Clients of TCP addresses need no certificate, by the user's own wish. */
  readonly open: boolean;
  /** Somebody asks something. */
  readonly onUse: () => void;
}

export interface HandedPlace {
  readonly fd: number;
  /** Else it is TCP's. */
  readonly isUnix: boolean;
  /** Where a socket of the engine's own can be. */
  readonly inner: string;
}

interface Listening {
  readonly address: ListenAddress;
  readonly place: Parameters<typeof listen>[1];
  /** Serves; of a socket of systemd the `acceptor` has the clients. */
  readonly server: ApiServer;
  readonly acceptor?: PlainServer;
  readonly tls?: TlsIdentity;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #all: Listening[] = [];
  readonly #passedOn = new Set<Socket>();
  #metrics: { readonly at: string; readonly server: ApiServer } | undefined;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  async openUnix(path: string): Promise<void> {
    const server = this.#serve();
    const place = { is: "unix", path, group: this.#options.group } as const;
    await listen(server, place);
    this.#all.push({ address: { is: "unix", path }, place, server });
  }

  /** @throws {GantryError} "denied" for an open door that nobody has wished for, "conflict" when the address is taken */
  async openTcp(host: string, port: number | undefined, tls: TlsIdentity | undefined): Promise<void> {
    const place = { is: "tcp", host, port: port ?? usualPorts[tls === undefined ? "plain" : "tls"] } as const;
    if (!isLoopback(host) && tls?.ca === undefined) this.#expose(`tcp://${host}:${place.port}`);
    const server = this.#serve(tls);
    await listen(server, place);
    this.#all.push({
      address: { is: "tcp", host, port },
      place,
      server,
      ...(tls === undefined ? {} : { tls }),
    });
  }

  /**
   * A socket that another process has bound. Bun's HTTP server cannot listen there, and given a connection it reads no body of
   * a request that is upgraded: connections are passed on to a socket of its own at `inner`.
   */
  async openFd({ fd, isUnix, inner }: HandedPlace): Promise<void> {
    if (!isUnix) this.#expose(`the socket ${fd} of systemd`);
    const server = this.#serve();
    await listen(server, { is: "unix", path: inner, group: 0 });
    const acceptor = await this.#accept(fd, inner);
    this.#all.push({ address: { is: "unix", path: inner }, place: { is: "fd", fd }, server, acceptor });
  }

  /** Clients that came while there was no engine, to a socket that has lost its path to ours. */
  async openQueue(fd: number, path: string): Promise<void> {
    const acceptor = await this.#accept(fd, path);
    // Its path has been ours since before this: after a moment nobody can come any more.
    setTimeout(() => void acceptor.close(), queueMs).unref();
  }

  async #accept(fd: number, inner: string): Promise<PlainServer> {
    const acceptor = createPlainServer({ allowHalfOpen: true }, (socket) => this.#passOn(socket, inner));
    await listen(acceptor, { is: "fd", fd });
    return acceptor;
  }

  /** From now on clients of a unix socket of ours wait for the next engine. @returns the queue, as queueClients does */
  async queueClients(path: string): Promise<number | undefined> {
    const at = this.#all.findIndex(({ place }) => place.is === "unix" && place.path === path);
    const listening = this.#all[at];
    if (listening === undefined) return undefined;
    const queue = await queueClients(path, this.#options.logger);
    // The path is the queue's now: it stays.
    if (queue !== undefined) this.#all[at] = { ...listening, address: { is: "fd", name: String(queue) } };
    return queue;
  }

  #passOn(socket: Socket, path: string): void {
    const inner = connect({ path, allowHalfOpen: true });
    for (const [from, to] of [
      [socket, inner],
      [inner, socket],
    ] as const) {
      this.#passedOn.add(from);
      from.pipe(to);
      // ECONNRESET and EPIPE: "close" tells it.
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#passedOn.delete(from);
        to.destroySoon();
      });
    }
  }

  #serve(tls?: TlsIdentity): ApiServer {
    const server = this.#options.api.createServer(tls);
    for (const event of ["request", "upgrade"]) server.on(event, () => this.#options.onUse());
    return server;
  }

  #expose(where: string): void {
    const danger = "without client certificates whoever reaches it is root on this machine";
    if (!this.#options.open)
      throw new GantryError("denied", `${where} is not opened: ${danger}`, {
        hint: "ask for certificates (--tlsverify --tlscacert CA --tlscert CERT --tlskey KEY), or say --tls=false if you want it so",
      });
    this.#options.logger.warn("engine.exposed", {
      where,
      message: `the API is reachable from other machines: ${danger}`,
    });
  }

  /** Other certificates for new connections; those that are open go on. Nothing happens when they are the same. */
  async replaceTls(tls: TlsIdentity): Promise<void> {
    for (const [index, listening] of this.#all.entries()) {
      if (listening.tls === undefined || Bun.deepEquals(listening.tls, tls)) continue;
      const server = this.#serve(tls);
      // What was begun there ends there.
      listening.server.close();
      listening.server.closeIdleConnections();
      await listen(server, listening.place);
      this.#all[index] = { ...listening, server, tls };
    }
  }

  /** GET /metrics at `ADDRESS:PORT`; undefined: nowhere. @throws {GantryError} "conflict"; it stays where it was */
  async moveMetrics(at: string | undefined): Promise<void> {
    if (this.#metrics?.at === at) return;
    const before = this.#metrics?.server;
    if (at === undefined) this.#metrics = undefined;
    else {
      const colon = at.lastIndexOf(":");
      const host = at.slice(0, colon).replace(/^\[|\]$/g, "") || "127.0.0.1";
      const server = this.#options.api.createMetricsServer();
      await listen(server, { is: "tcp", host, port: Number(at.slice(colon + 1)) });
      this.#metrics = { at, server };
    }
    before?.close();
    before?.closeAllConnections();
  }

  /** Takes the sockets away and lets short answers end; joined streams are cut, their containers go on. */
  async close(): Promise<void> {
    const servers = this.#all.map(({ server }) => server);
    if (this.#metrics !== undefined) servers.push(this.#metrics.server);
    const closed = this.#all.map(({ address, acceptor, server }) => {
      if (address.is === "unix") removeSocket(address.path);
      acceptor?.close();
      return new Promise<void>((resolve) => void server.close(() => resolve()));
    });
    this.#metrics?.server.close();
    for (const server of servers) server.closeIdleConnections();
    await Promise.race([Promise.all(closed), Bun.sleep(answerDeadlineMs)]);
    for (const server of servers) server.closeAllConnections();
    for (const socket of this.#passedOn) socket.destroy();
  }
}

function removeSocket(path: string): void {
  try {
    rmSync(path);
  } catch (error) {
    // ENOENT: somebody has removed it already.
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
