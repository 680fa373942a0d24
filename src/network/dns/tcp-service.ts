/** DNS over TCP: bounded connections, one question at a time on each, cut off when idle. */
import { framed, MessageReader } from "./message-reader.ts";

type Respond = (message: Uint8Array, client: string) => Promise<Uint8Array | undefined>;

interface Connection {
  readonly client: string;
  readonly reader: MessageReader;
  /** Answers leave in the order of their questions. */
  turn: Promise<void>;
  waiting: number;
  unsent: Uint8Array;
}

const maxConnections = 128;
const maxPerClient = 16;
const maxWaiting = 16;
const idleSeconds = 10;
/** Longer questions than this do not exist. */
const maxMessageBytes = 4098;

export class TcpService {
  readonly #listener: Bun.TCPSocketListener<Connection>;
  readonly #perClient = new Map<string, number>();
  readonly #respond: Respond;
  #open = 0;

  /** @throws {Error} EADDRINUSE */
  constructor(address: string, port: number, respond: Respond) {
    this.#respond = respond;
    this.#listener = Bun.listen<Connection>({
      hostname: address,
      port,
      socket: {
        open: (socket) => this.#opened(socket),
        data: (socket, bytes) => this.#received(socket, bytes),
        drain: (socket) => flush(socket),
        close: (socket) => this.#closed(socket),
        timeout: (socket) => void socket.terminate(),
        error: (socket) => void socket.terminate(),
      },
    });
  }

  close(): void {
    this.#listener.stop(true);
  }

  #opened(socket: Bun.Socket<Connection>): void {
    const client = socket.remoteAddress;
    socket.data = {
      client,
      reader: new MessageReader(maxMessageBytes),
      turn: Promise.resolve(),
      waiting: 0,
      unsent: new Uint8Array(0),
    };
    socket.timeout(idleSeconds);
    const count = (this.#perClient.get(client) ?? 0) + 1;
    this.#perClient.set(client, count);
    this.#open++;
    if (this.#open > maxConnections || count > maxPerClient) socket.terminate();
  }

  #closed(socket: Bun.Socket<Connection>): void {
    const { client } = socket.data;
    const count = (this.#perClient.get(client) ?? 1) - 1;
    if (count === 0) this.#perClient.delete(client);
    else this.#perClient.set(client, count);
    this.#open--;
  }

  #received(socket: Bun.Socket<Connection>, bytes: Uint8Array): void {
    const connection = socket.data;
    const messages = connection.reader.add(bytes);
    if (messages === undefined || connection.waiting + messages.length > maxWaiting) {
      socket.terminate();
      return;
    }
    const { client } = connection;
    for (const message of messages) {
      connection.waiting++;
      connection.turn = connection.turn.then(async () => {
        const answer = await this.#respond(message, client);
        connection.waiting--;
        if (answer === undefined) socket.terminate();
        else send(socket, framed(answer));
      });
    }
  }
}

function send(socket: Bun.Socket<Connection>, frame: Uint8Array): void {
  const connection = socket.data;
  const all = new Uint8Array(connection.unsent.length + frame.length);
  all.set(connection.unsent, 0);
  all.set(frame, connection.unsent.length);
  connection.unsent = all;
  flush(socket);
}

function flush(socket: Bun.Socket<Connection>): void {
  const connection = socket.data;
  const written = socket.write(connection.unsent);
  if (written > 0) connection.unsent = connection.unsent.slice(written);
  socket.timeout(idleSeconds);
}
