/** TCP in front of a server, as slow as a test wants it; or it stands still, or the line is cut. */
import { createServer, type Server, type Socket, connect } from "node:net";

export class SlowProxy {
  readonly port: number;
  /** Bytes a second and connection, each way; 0: nothing goes on. */
  rate = Number.POSITIVE_INFINITY;
  /** Bytes that have gone to the server and from it. */
  up = 0;
  down = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<() => void>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async before(port: number): Promise<SlowProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const proxy = new SlowProxy(server, address.port);
    server.on("connection", (client) => proxy.#join(client, connect(port, "127.0.0.1")));
    return proxy;
  }

  #join(client: Socket, server: Socket): void {
    const end = (): void => {
      client.destroy();
      server.destroy();
      this.#sockets.delete(client);
    };
    this.#sockets.add(client);
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    client.on("data", (bytes: Buffer) => this.#pass(bytes, client, server, (n) => (this.up += n)));
    server.on("data", (bytes: Buffer) => this.#pass(bytes, server, client, (n) => (this.down += n)));
  }

  #pass(bytes: Buffer, from: Socket, to: Socket, count: (bytes: number) => void): void {
    const send = (): void => {
      count(bytes.length);
      to.write(bytes);
    };
    if (this.rate === Number.POSITIVE_INFINITY) return send();
    from.pause();
    const go = (): void => {
      send();
      setTimeout(() => from.resume(), (bytes.length / this.rate) * 1000);
    };
    if (this.rate > 0) go();
    else this.#waiting.add(go);
  }

  /** Full speed, also for what stands still. */
  hurry(): void {
    this.rate = Number.POSITIVE_INFINITY;
    for (const go of this.#waiting) go();
    this.#waiting.clear();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
