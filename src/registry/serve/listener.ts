/**
 * The listening socket. Bun cannot change the certificate of a server that runs; so that no restart is needed, a second server
 * with the new certificate listens on the same port (SO_REUSEPORT), and the first ends when its requests have.
 */
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import { type Address, printAddress } from "../config/values.ts";
import type { Certificate } from "../tls/certificates.ts";

export type Fetch = (request: Request, server: Bun.Server<undefined>) => Promise<Response>;

/** Seconds without a byte after which a connection is given up: Bun's longest. */
const idleSeconds = 255;

export class Listener {
  readonly #address: Address;
  readonly #fetch: Fetch;
  #server: Bun.Server<undefined>;
  readonly #ending = new Set<Promise<void>>();

  /** @throws {GantryError} when the address is taken or not ours */
  constructor(address: Address, fetch: Fetch, certificate: Certificate | undefined) {
    this.#address = address;
    this.#fetch = fetch;
    try {
      // With SO_REUSEPORT a second registry would silently share the port: asked without it first.
      if (certificate !== undefined && address.port !== 0) probe(address);
      this.#server = this.#open(address.port, certificate);
    } catch (error) {
      if (isErrno(error, "EADDRINUSE"))
        throw new GantryError("conflict", `${printAddress(address)} is taken by another program`, {
          cause: error,
          hint: `who has it: ss -ltnp 'sport = :${address.port}'; or choose another address with --addr HOST:PORT`,
        });
      if (isErrno(error, "EADDRNOTAVAIL"))
        throw new GantryError("invalid", `this machine has no address ${address.host}`, {
          cause: error,
          hint: "--addr 127.0.0.1:PORT is for this machine alone, :PORT for all that it has",
        });
      if (isErrno(error, "EACCES"))
        throw new GantryError("denied", `port ${address.port} is for root`, {
          cause: error,
          hint: "ports below 1024 want root or CAP_NET_BIND_SERVICE; or choose a higher one with --addr",
        });
      throw toGantryError(error, `listen on ${printAddress(address)}`);
    }
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  #open(port: number, certificate: Certificate | undefined): Bun.Server<undefined> {
    return Bun.serve({
      hostname: this.#address.host,
      port,
      idleTimeout: idleSeconds,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: this.#fetch,
      ...(certificate === undefined
        ? {}
        : { reusePort: true, tls: { cert: certificate.cert, key: certificate.key } }),
    });
  }

  /** New connections get the new certificate; what runs goes on. */
  replace(certificate: Certificate): void {
    const old = this.#server;
    this.#server = this.#open(this.port, certificate);
    const ended = old.stop();
    this.#ending.add(ended);
    void ended.finally(() => this.#ending.delete(ended));
  }

  /** Takes no more connections; requests that run have `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const ended = Promise.all([this.#server.stop(), ...this.#ending]);
    await Promise.race([ended, Bun.sleep(graceMs)]);
    await this.#server.stop(true);
  }
}

function probe({ host, port }: Address): void {
  Bun.listen({ hostname: host, port, socket: { data() {} } }).stop(true);
}
