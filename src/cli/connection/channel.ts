/**
 * A connection that an HTTP/1.1 upgrade turned into a plain byte stream (hijacking, as docker calls it). Written by hand
 * on Bun.connect: node:http would cost more than the whole start of a container.
 */
import { CliError } from "../errors.ts";
import { type Address, tlsOptions } from "./address.ts";
import { refusal } from "./engine.ts";

export interface ChannelRequest {
  readonly path: string;
  /** Sent as JSON body; none: an empty body. */
  readonly json?: unknown;
  /** Sent right behind the request, before the engine has answered. */
  readonly early?: Uint8Array;
  /** Bytes behind the response's head. A promise pauses the connection until it resolves. */
  readonly onData: (bytes: Uint8Array) => Promise<void> | undefined;
}

const longestHead = 64 << 10;
const longestRefusal = 64 << 10;

export class Channel {
  readonly #request: ChannelRequest;
  readonly #outgoing: Uint8Array[] = [];
  readonly #incoming: Uint8Array[] = [];
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #socket: Bun.Socket<undefined> | undefined;
  #head: Buffer = Buffer.alloc(0);
  #state: "head" | "refused" | "stream" = "head";
  #status = 0;
  #halfClosed = false;
  #delivering = false;
  #ended = false;
  #drained: PromiseWithResolvers<void> | undefined;

  private constructor(request: ChannelRequest) {
    this.#request = request;
    // The owner of a channel awaits one of them at a time; a failure that nobody awaits yet must not end the program.
    this.#opened.promise.catch(() => undefined);
    this.#closed.promise.catch(() => undefined);
  }

  /** Connects and sends the request; resolves as soon as it is on its way. Throws the system's error when nobody listens. */
  static async connect(address: Address, request: ChannelRequest): Promise<Channel> {
    const channel = new Channel(request);
    const handlers: Bun.SocketHandler<undefined> = {
      data: (_, bytes) => channel.#receive(bytes),
      drain: () => channel.#flush(),
      end: () => channel.#end(),
      close: () => channel.#end(),
      error: (_, error) => channel.#fail(error),
    };
    const options = { allowHalfOpen: true, socket: handlers };
    channel.#socket =
      address.is === "unix"
        ? await Bun.connect({ ...options, unix: address.path })
        : await Bun.connect({
            ...options,
            hostname: address.host,
            port: address.port,
            ...(address.tls === undefined ? {} : { tls: tlsOptions(address.tls) }),
          });
    channel.#outgoing.push(requestBytes(request));
    channel.#flush();
    return channel;
  }

  /** Resolves when the engine has switched to the stream. @throws {CliError} when it refused */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves when the engine has ended the stream and everything was handed to `onData`. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Sends bytes; resolves when they have left, so that a slow engine slows the sender. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#ended || this.#halfClosed) return undefined;
    this.#outgoing.push(bytes);
    this.#flush();
    if (this.#outgoing.length === 0) return undefined;
    this.#drained ??= Promise.withResolvers<void>();
    return this.#drained.promise;
  }

  /** Says that nothing more will be sent; the other direction stays open. */
  end(): void {
    this.#halfClosed = true;
    if (this.#outgoing.length === 0) this.#socket?.shutdown();
  }

  close(): void {
    this.#ended = true;
    this.#socket?.terminate();
    this.#drained?.resolve();
    this.#closed.resolve();
  }

  #flush(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    for (let piece = this.#outgoing[0]; piece !== undefined; piece = this.#outgoing[0]) {
      const written = socket.write(piece);
      if (written < 0) return;
      if (written < piece.length) {
        this.#outgoing[0] = piece.subarray(written);
        return;
      }
      this.#outgoing.shift();
    }
    this.#drained?.resolve();
    this.#drained = undefined;
    if (this.#halfClosed) socket.shutdown();
  }

  #receive(bytes: Buffer): void {
    if (this.#state === "stream") this.#deliver(bytes);
    else if (this.#state === "refused") this.#collect(bytes);
    else this.#readHead(bytes);
  }

  #readHead(bytes: Buffer): void {
    this.#head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#head.length > longestHead) this.#fail(new CliError("the engine's answer is not HTTP"));
      return;
    }
    this.#status = Number(/^HTTP\/1\.1 (\d{3})/.exec(this.#head.toString("latin1", 0, 16))?.[1] ?? 0);
    const rest = this.#head.subarray(end + 4);
    if (this.#status === 101 || this.#status === 200) {
      this.#state = "stream";
      this.#opened.resolve();
      if (rest.length > 0) this.#deliver(rest);
      return;
    }
    this.#state = "refused";
    const chunked = /\r\ntransfer-encoding: *chunked/i.test(this.#head.toString("latin1", 0, end));
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head.toString("latin1", 0, end))?.[1];
    this.#head = Buffer.alloc(0);
    this.#refusalDone = (body) =>
      chunked ? body.includes("0\r\n\r\n") : length !== undefined && body.length >= Number(length);
    this.#collect(rest);
  }

  #refusalDone: (body: Buffer) => boolean = () => false;

  #collect(bytes: Buffer): void {
    this.#head = Buffer.concat([this.#head, bytes]);
    if (this.#refusalDone(this.#head) || this.#head.length > longestRefusal) this.#refuse();
  }

  #refuse(): void {
    const text = this.#head.toString("utf8");
    // A chunked body is one JSON object between its chunk sizes.
    this.#fail(refusal(this.#status, /\{.*\}/s.exec(text)?.[0] ?? text));
  }

  #deliver(bytes: Uint8Array): void {
    this.#incoming.push(bytes);
    if (!this.#delivering) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#delivering = true;
    try {
      for (let piece = this.#incoming.shift(); piece !== undefined; piece = this.#incoming.shift()) {
        const busy = this.#request.onData(piece);
        if (busy === undefined) continue;
        this.#socket?.pause();
        await busy;
        this.#socket?.resume();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#delivering = false;
    if (this.#ended) this.#closed.resolve();
  }

  #end(): void {
    if (this.#state === "refused") this.#refuse();
    if (this.#state === "head")
      this.#fail(new CliError("the engine closed the connection without an answer"));
    this.#ended = true;
    this.#drained?.resolve();
    if (!this.#delivering) this.#closed.resolve();
    this.#socket?.end();
  }

  #fail(error: unknown): void {
    this.#opened.reject(error);
    this.#closed.reject(error);
    this.close();
  }
}

function requestBytes(request: ChannelRequest): Uint8Array {
  const body = request.json === undefined ? "" : JSON.stringify(request.json);
  const type = request.json === undefined ? "" : "Content-Type: application/json\r\n";
  const head = `POST ${request.path} HTTP/1.1\r\nHost: gantry\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${type}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  const bytes = Buffer.from(head);
  return request.early === undefined ? bytes : Buffer.concat([bytes, request.early]);
}
