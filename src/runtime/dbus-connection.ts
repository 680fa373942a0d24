/** A synchronous D-Bus client over a unix socket: enough for calls to one service and its signals. Every wait ends. */
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import {
  type DbusCall,
  type DbusMessage,
  decodeMessage,
  encodeCall,
  messageLength,
  messageTypes,
} from "./dbus-wire.ts";

/** What is asked of the machine; oci/host.ts has it all. */
export interface DbusIo {
  connect(path: string): number;
  close(fd: number): void;
  read(fd: number, max: number, timeoutMs: number): Uint8Array | undefined;
  write(fd: number, data: string | Uint8Array): void;
  monotonic(): number;
  uid(): number;
}

/** An error that the called service answered with. */
export class DbusError extends GantryError {
  readonly errorName: string;
  constructor(errorName: string, message: string) {
    super(codeOf(errorName), message, { fields: { dbusError: errorName } });
    this.errorName = errorName;
  }
}

function codeOf(name: string): "denied" | "invalid" | "conflict" | "not-found" | "internal" {
  if (/AccessDenied|AuthFailed|InteractiveAuthorizationRequired/.test(name)) return "denied";
  if (/InvalidArgs|PropertyReadOnly|UnknownProperty/.test(name)) return "invalid";
  if (/UnitExists/.test(name)) return "conflict";
  return /NoSuchUnit|ServiceUnknown/.test(name) ? "not-found" : "internal";
}

export class DbusConnection {
  readonly #io: DbusIo;
  readonly #fd: number;
  readonly #until: number;
  #received = new Uint8Array(0);
  #serial = 0;
  readonly #signals: DbusMessage[] = [];

  /**
   * @param path of the socket
   * @param deadlineMs for everything that is done on this connection
   * @throws {GantryError} "unavailable" when nobody listens, "denied", "timeout"
   */
  constructor(io: DbusIo, path: string, deadlineMs: number) {
    this.#io = io;
    this.#until = io.monotonic() + deadlineMs;
    try {
      this.#fd = io.connect(path);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ECONNREFUSED", "ENOTDIR"))
        throw new GantryError("unavailable", `no D-Bus listens at ${path}`, { cause: error });
      throw toGantryError(error, `connect to the D-Bus at ${path}`);
    }
    try {
      this.#authenticate();
    } catch (error) {
      io.close(this.#fd);
      throw error;
    }
  }

  close(): void {
    this.#io.close(this.#fd);
  }

  /** @throws {DbusError} the service's answer */
  call(call: DbusCall): DbusMessage["body"] {
    const serial = ++this.#serial;
    this.#io.write(this.#fd, encodeCall(serial, call));
    for (;;) {
      const message = this.#next(`the answer to ${call.member}`);
      if (message.type === messageTypes.signal) this.#signals.push(message);
      if (message.replySerial !== serial) continue;
      if (message.type === messageTypes.reply) return message.body;
      if (message.type === messageTypes.error)
        throw new DbusError(message.errorName, String(message.body[0] ?? message.errorName));
    }
  }

  /** The first signal, past or to come, that fits. @throws {GantryError} "timeout" */
  signal(member: string, fits: (body: DbusMessage["body"]) => boolean): DbusMessage["body"] {
    for (;;) {
      const message = this.#signals.shift() ?? this.#next(`the signal ${member}`);
      if (message.type === messageTypes.signal && message.member === member && fits(message.body))
        return message.body;
    }
  }

  /** SASL EXTERNAL: the kernel tells the other side who we are; the uid only has to agree. */
  #authenticate(): void {
    const uid = String(this.#io.uid());
    const hex = Array.from(uid, (digit) => `3${digit}`).join("");
    this.#io.write(this.#fd, `\0AUTH EXTERNAL ${hex}\r\n`);
    const answer = this.#line();
    if (!answer.startsWith("OK"))
      throw new GantryError("denied", `D-Bus does not take us for user ${uid}: ${answer}`);
    this.#io.write(this.#fd, "BEGIN\r\n");
  }

  #line(): string {
    for (;;) {
      const end = this.#received.indexOf(10);
      if (end >= 0) {
        const line = new TextDecoder().decode(this.#received.subarray(0, end)).trim();
        this.#received = this.#received.slice(end + 1);
        return line;
      }
      if (this.#received.length > 16_384)
        throw new GantryError("corrupt", "the D-Bus socket does not speak D-Bus");
      this.#more("the answer to AUTH");
    }
  }

  #next(what: string): DbusMessage {
    for (;;) {
      const length = messageLength(this.#received);
      if (length !== undefined && this.#received.length >= length) {
        const message = decodeMessage(this.#received.slice(0, length));
        this.#received = this.#received.slice(length);
        return message;
      }
      this.#more(what);
    }
  }

  #more(what: string): void {
    const left = this.#until - this.#io.monotonic();
    const chunk = left <= 0 ? undefined : this.#io.read(this.#fd, 65_536, left);
    if (chunk === undefined) throw new GantryError("timeout", `${what} did not come from D-Bus in time`);
    if (chunk.length === 0)
      throw new GantryError("unavailable", `D-Bus closed the connection before ${what}`);
    const all = new Uint8Array(this.#received.length + chunk.length);
    all.set(this.#received);
    all.set(chunk, this.#received.length);
    this.#received = all;
  }
}
