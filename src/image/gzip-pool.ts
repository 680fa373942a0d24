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

/** A second job waits at the thread itself, which then need not wait for us. */
const jobsPerThread = 2;

interface ThreadEvents {
  readonly onDone: (thread: Thread) => void;
  readonly onBroken: (thread: Thread) => void;
}

class Thread {
  readonly #worker: Worker;
  /** In the order in which they are answered. */
  readonly #jobs: Job[] = [];

  constructor(url: string, { onDone, onBroken }: ThreadEvents) {
    this.#worker = new Worker(url);
    this.#worker.onmessage = ({ data }: MessageEvent<Uint8Array>) => {
      this.#jobs.shift()?.resolve(data);
      onDone(this);
    };
    this.#worker.onerror = ({ message }) => {
      const error = new GantryError("internal", `a layer could not be compressed: ${message}`);
      for (const job of this.#jobs.splice(0)) job.reject(error);
      onBroken(this);
    };
  }

  get load(): number {
    return this.#jobs.length;
  }

  run(job: Job): void {
    this.#jobs.push(job);
    // Only work keeps the program alive.
    this.#worker.ref();
    this.#worker.postMessage({ bytes: job.bytes, level: job.level }, [job.bytes.buffer]);
  }

  rest(): void {
    this.#worker.unref();
  }

  end(): void {
    this.#worker.terminate();
  }
}

class GzipPool {
  readonly #threads = new Set<Thread>();
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
    for (let thread = this.#thread(); thread !== undefined; thread = this.#thread()) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      thread.run(job);
    }
  }

  /** The one that has the least to do; a new one rather than one that has something. */
  #thread(): Thread | undefined {
    if (this.#waiting.length === 0) return undefined;
    const least = [...this.#threads].sort((a, b) => a.load - b.load)[0];
    if (least?.load === 0) return least;
    if (this.#threads.size < Math.min(maxThreads, availableParallelism())) return this.#start();
    return least !== undefined && least.load < jobsPerThread ? least : undefined;
  }

  #start(): Thread {
    this.#url ??= URL.createObjectURL(new Blob([program], { type: "application/javascript" }));
    const thread = new Thread(this.#url, {
      onDone: (done) => this.#done(done),
      onBroken: (broken) => {
        broken.end();
        this.#threads.delete(broken);
        this.#next();
      },
    });
    this.#threads.add(thread);
    return thread;
  }

  #done(thread: Thread): void {
    this.#next();
    if (thread.load > 0) return;
    thread.rest();
    if ([...this.#threads].some(({ load }) => load > 0)) return;
    this.#idle = setTimeout(() => this.#end(), idleMs);
    this.#idle.unref();
  }

  #end(): void {
    for (const thread of this.#threads) thread.end();
    this.#threads.clear();
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
