/**
 * gzip by libdeflate, half the time of zlib for smaller results, on threads of its own: Bun offers it only as a call that
 * blocks. The threads are shared by all that compress, and end soon after the last one did.
 */
import { availableParallelism } from "node:os";
import { GantryError } from "../lib/index.ts";

/** In the thread; as a text, because a compiled program has no files to start threads from. */
const program = `onmessage = ({ data: { bytes, level } }) => {
  const out = Bun.gzipSync(bytes, { library: "libdeflate", level });
  postMessage(out, [out.buffer]);
};`;

const maxThreads = 8;
/** The layers of one image follow each other; then the memory is of better use elsewhere. */
const idleMs = 1_000;

interface Job {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly level: number;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: GantryError) => void;
}

class Thread {
  readonly #worker: Worker;
  #job: Job | undefined;

  constructor(url: string, onFree: (thread: Thread) => void, onBroken: (thread: Thread) => void) {
    this.#worker = new Worker(url);
    this.#worker.unref();
    this.#worker.onmessage = ({ data }: MessageEvent<Uint8Array>) => {
      this.#job?.resolve(data);
      this.#job = undefined;
      onFree(this);
    };
    this.#worker.onerror = ({ message }) => {
      this.#job?.reject(new GantryError("internal", `a layer could not be compressed: ${message}`));
      onBroken(this);
    };
  }

  run(job: Job): void {
    this.#job = job;
    this.#worker.ref();
    this.#worker.postMessage({ bytes: job.bytes, level: job.level }, [job.bytes.buffer]);
  }

  /** It must not keep the program alive. */
  rest(): void {
    this.#worker.unref();
  }

  end(): void {
    this.#worker.terminate();
  }
}

class GzipPool {
  readonly #threads = new Set<Thread>();
  readonly #free: Thread[] = [];
  readonly #waiting: Job[] = [];
  #url: string | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  run(bytes: Uint8Array<ArrayBuffer>, level: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, level, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    clearTimeout(this.#idle);
    const isFull = this.#threads.size >= Math.min(maxThreads, availableParallelism());
    const thread = this.#free.pop() ?? (isFull ? undefined : this.#start());
    const job = thread === undefined ? undefined : this.#waiting.shift();
    if (job !== undefined) thread?.run(job);
  }

  #start(): Thread {
    this.#url ??= URL.createObjectURL(new Blob([program], { type: "application/javascript" }));
    const thread = new Thread(
      this.#url,
      (freed) => this.#freed(freed),
      (broken) => {
        broken.end();
        this.#threads.delete(broken);
        if (this.#waiting.length > 0) this.#next();
      },
    );
    this.#threads.add(thread);
    return thread;
  }

  #freed(thread: Thread): void {
    this.#free.push(thread);
    if (this.#waiting.length > 0) return this.#next();
    thread.rest();
    if (this.#free.length < this.#threads.size) return;
    this.#idle = setTimeout(() => this.#end(), idleMs);
    this.#idle.unref();
  }

  #end(): void {
    for (const thread of this.#threads) thread.end();
    this.#threads.clear();
    this.#free.length = 0;
  }
}

const pool = new GzipPool();

/**
 * One gzip member of these bytes, which are gone for the caller. The same bytes and level give the same member.
 * @param level 1 to 9
 */
export function gzipMember(bytes: Uint8Array<ArrayBuffer>, level: number): Promise<Uint8Array> {
  return pool.run(bytes, level);
}
