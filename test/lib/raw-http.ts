/** A server of HTTP by hand, for answers that no honest server gives. One request a connection. */
import { createServer, type Server, type Socket } from "node:net";

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

type Handler = (request: RawRequest, socket: Socket) => void;

export class RawServer implements Disposable {
  readonly requests: RawRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(handler: Handler): Promise<RawServer> {
    const server = createServer();
    const raw = new RawServer(server);
    server.on("connection", (socket) => raw.#serve(socket, handler));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return raw;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen");
    return `127.0.0.1:${address.port}`;
  }

  #serve(socket: Socket, handler: Handler): void {
    this.#sockets.add(socket);
    let head = "";
    socket.on("close", () => this.#sockets.delete(socket));
    // A client that goes away is what these tests are about.
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      if (head.includes("\r\n\r\n")) return;
      // The greeting of TLS: plain text is spoken here.
      if (head === "" && chunk[0] === 0x16) return void socket.destroy();
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      const [first = "", ...lines] = head.slice(0, head.indexOf("\r\n\r\n")).split("\r\n");
      const [method = "", path = ""] = first.split(" ");
      const headers = Object.fromEntries(
        lines.map((line) => [
          line.slice(0, line.indexOf(":")).toLowerCase(),
          line.slice(line.indexOf(":") + 1).trim(),
        ]),
      );
      const request = { method, path, headers };
      this.requests.push(request);
      handler(request, socket);
    });
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** The beginning of an answer; the connection ends with it. */
export function head(status: number, headers: Readonly<Record<string, string | number>> = {}): string {
  const lines = Object.entries({ Connection: "close", ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `HTTP/1.1 ${status} Status\r\n${lines.join("")}\r\n`;
}
