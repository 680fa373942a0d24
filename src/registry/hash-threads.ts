/**
 * Threads that hash and write uploads, so that the event loop's thread has only to receive. Shared by all uploads; an
 * upload stays with its thread, which knows its hash so far.
 */
import { availableParallelism } from "node:os";
import { GantryError } from "../lib/index.ts";
import { type HashAnswer, type HashRequest, hashThread } from "./hash-thread.ts";

/** Receiving keeps one processor busy; two others hash all that it can receive. */
const maxThreads = Math.max(1, Math.min(2, availableParallelism() - 1));
/**
 * Blocks on their way to a thread. With more the event loop stands still: that holds up all connections in the kernel,
 * where waiting for a turn would have each put megabytes in line here.
 */
const maxAhead = 8;
/** A disk that hangs does not keep those who only read from being served for longer than this at a time. */
const maxStandstillMs = 200;

interface Waiting {
  readonly resolve: (answer: HashAnswer) => void;
  readonly reject: (error: GantryError) => void;
}

class HashThread {
  readonly #worker: Worker;
  readonly #written = new Int32Array(new SharedArrayBuffer(4));
  #sent = 0;
  /** Of each upload, in the order of its requests. */
  readonly #waiting = new Map<string, Waiting[]>();
  isBroken = false;

  constructor(url: string) {
    this.#worker = new Worker(url);
    this.#worker.onmessage = ({ data }: MessageEvent<{ readonly id: string; readonly answer: HashAnswer }>) =>
      this.#next(data.id)?.resolve(data.answer);
    this.#worker.onerror = ({ message }) => this.#break(message);
    this.#worker.postMessage({ written: this.#written });
    this.#worker.unref();
  }

  ask(request: Exclude<HashRequest, { kind: "forget" }>): Promise<HashAnswer> {
    if (request.kind === "digest") this.#worker.postMessage(request);
    else this.#write(request);
    // Only work keeps the program alive.
    if (this.#waiting.size === 0) this.#worker.ref();
    return new Promise((resolve, reject) => {
      const line = this.#waiting.get(request.id);
      if (line === undefined) this.#waiting.set(request.id, [{ resolve, reject }]);
      else line.push({ resolve, reject });
    });
  }

  forget(id: string): void {
    this.#worker.postMessage({ kind: "forget", id } satisfies HashRequest);
  }

  #write(request: Extract<HashRequest, { kind: "write" }>): void {
    this.#worker.postMessage(request, [request.bytes.buffer]);
    this.#sent = (this.#sent + 1) | 0;
    const written = Atomics.load(this.#written, 0);
    if (((this.#sent - written) | 0) > maxAhead) Atomics.wait(this.#written, 0, written, maxStandstillMs);
  }

  #next(id: string): Waiting | undefined {
    const line = this.#waiting.get(id);
    const first = line?.shift();
    if (line?.length === 0) this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    return first;
  }

  #break(message: string): void {
    this.isBroken = true;
    this.#worker.terminate();
    const error = new GantryError("internal", `an upload could not be written: ${message}`);
    for (const line of this.#waiting.values()) for (const waiting of line) waiting.reject(error);
    this.#waiting.clear();
  }
}

const threads: HashThread[] = [];
let url: string | undefined;
let turn = 0;

function nextThread(): HashThread {
  turn = (turn + 1) % maxThreads;
  const known = threads[turn];
  if (known !== undefined && !known.isBroken) return known;
  url ??= URL.createObjectURL(new Blob([`(${hashThread.toString()})()`], { type: "application/javascript" }));
  const started = new HashThread(url);
  threads[turn] = started;
  return started;
}

/** An upload's place in a thread. */
export class ThreadHash {
  readonly #id: string;
  readonly #fd: number;
  #thread: HashThread | undefined;

  /** @param fd of the upload's file, open until the last request is answered */
  constructor(id: string, fd: number) {
    this.#id = id;
    this.#fd = fd;
  }

  /**
   * Writes and hashes. The bytes and their buffer are gone for the caller.
   * @throws {Error} as node:fs does: what the file holds from `position` on is not known then
   */
  async write(
    bytes: Uint8Array<ArrayBuffer>,
    position: number,
    algorithm: "sha256" | "sha512",
  ): Promise<void> {
    await this.#ask({ kind: "write", id: this.#id, fd: this.#fd, position, algorithm, bytes });
  }

  /** The hex digest of the file's first `length` bytes. @throws {Error} as node:fs does */
  async digest(length: number, algorithm: "sha256" | "sha512"): Promise<string> {
    const { hex } = await this.#ask({ kind: "digest", id: this.#id, fd: this.#fd, length, algorithm });
    return hex ?? "";
  }

  forget(): void {
    this.#thread?.forget(this.#id);
    this.#thread = undefined;
  }

  async #ask(request: Exclude<HashRequest, { kind: "forget" }>): Promise<HashAnswer> {
    if (this.#thread === undefined || this.#thread.isBroken) this.#thread = nextThread();
    const answer = await this.#thread.ask(request);
    if (answer.error === undefined) return answer;
    throw Object.assign(new Error(answer.error.message), { code: answer.error.code });
  }
}
