/** One framed connection to a monitor, with backpressure both ways. */
import { GantryError } from "../lib/index.ts";
import { type Frame, FrameParser } from "./frames.ts";

export interface ChannelHandlers {
  /** Called in order; nothing more is read while the returned promise is pending. */
  onFrame(frame: Frame): Promise<void> | undefined;
  /** Called once, after the last frame; `error` when the peer broke the protocol or the connection. */
  onClose(error: GantryError | undefined): void;
}

type MonitorSocket = Bun.Socket<undefined>;

interface Pending {
  bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: GantryError) => void;
}

/** Not started, nothing is read: what the monitor sends waits in the kernel. */
export class Channel {
  #socket: MonitorSocket | undefined;
  #handlers: ChannelHandlers | undefined;
  readonly #parser = new FrameParser();
  #frames: Frame[] = [];
  #delivering = false;
  #pending: Pending[] = [];
  #closed = false;
  #closeError: GantryError | undefined;
  #closeTold = false;

  /** Takes over a connected, non-blocking socket fd. */
  static async adopt(fd: number): Promise<Channel> {
    return Channel.#open({ fd });
  }

  /**
   * Connects to a monitor's socket.
   * @throws {GantryError} "unavailable" when nobody listens there
   */
  static async connect(path: string): Promise<Channel> {
    return Channel.#open({ unix: path });
  }

  static async #open(where: { readonly fd: number } | { readonly unix: string }): Promise<Channel> {
    const channel = new Channel();
    const socket: Bun.SocketHandler<undefined> = {
      open: (opened) => {
        channel.#socket = opened;
        opened.pause();
      },
      data: (_socket, chunk) => channel.#take(chunk),
      drain: () => channel.#flush(),
      close: () => channel.#end(undefined),
      // A reset is what a monitor's death looks like when it had not read everything; `close` follows.
      error: () => channel.#end(undefined),
    };
    try {
      // The types of Bun.connect leave out `fd`, which is documented and works (libraries.md, fact 5).
      channel.#socket = await Bun.connect({ ...where, socket } as Bun.UnixSocketOptions);
    } catch (error) {
      const name = "unix" in where ? `the monitor's socket ${where.unix}` : "the connection to the monitor";
      throw new GantryError("unavailable", `${name} does not answer`, { cause: error });
    }
    return channel;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Begins to read. Called once. */
  start(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    if (this.#closed) this.#deliver();
    else this.#socket?.resume();
  }

  /**
   * Sends bytes in order; resolves when the kernel has taken all of them.
   * @throws {GantryError} "unavailable" when the connection is or gets closed
   */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(gone());
    return new Promise((resolve, reject) => {
      this.#pending.push({ bytes, resolve, reject });
      if (this.#pending.length === 1) this.#flush();
    });
  }

  close(): void {
    this.#socket?.end();
    this.#end(undefined);
  }

  #flush(): void {
    const socket = this.#socket;
    for (
      let first = this.#pending[0];
      socket !== undefined && first !== undefined;
      first = this.#pending[0]
    ) {
      const written = Math.max(0, socket.write(first.bytes));
      if (written < first.bytes.length) {
        first.bytes = first.bytes.subarray(written);
        return;
      }
      this.#pending.shift();
      first.resolve();
    }
  }

  #take(chunk: Uint8Array): void {
    if (this.#closed) return;
    try {
      this.#frames.push(...this.#parser.push(chunk));
    } catch (error) {
      const broken = error instanceof GantryError ? error : new GantryError("internal", String(error));
      // First the reason: closing calls back at once, and the first reason counts.
      this.#end(broken);
      this.#socket?.end();
      return;
    }
    this.#deliver();
  }

  /** Hands out frames until a handler wants to be waited for. */
  #deliver(): void {
    if (this.#delivering || this.#handlers === undefined) return;
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
      const wait = this.#handlers.onFrame(frame);
      if (wait === undefined) continue;
      this.#delivering = true;
      if (!this.#closed) this.#socket?.pause();
      // A handler that fails must not stop the others, nor the reading: its owner hears of it by its own means.
      void wait.then(
        () => this.#continue(),
        () => this.#continue(),
      );
      return;
    }
    if (this.#closed && !this.#closeTold) {
      this.#closeTold = true;
      this.#handlers.onClose(this.#closeError);
    }
  }

  #continue(): void {
    this.#delivering = false;
    this.#deliver();
    if (!this.#delivering && !this.#closed) this.#socket?.resume();
  }

  #end(error: GantryError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeError = error;
    for (const { reject } of this.#pending.splice(0)) reject(gone());
    this.#deliver();
  }
}

function gone(): GantryError {
  return new GantryError("unavailable", "the container's monitor is gone");
}
