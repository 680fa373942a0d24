/**
 * Blobs on their way from upstream: fetched once however many want them, given to clients while they come, stored when they
 * have been verified.
 */
import { digestHex, GantryError, Interrupt } from "../lib/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { BlobStore, ByteRange } from "./blob-store.ts";
import { TailFile } from "./tail-file.ts";

export interface FetchOptions {
  readonly blobs: BlobStore;
  readonly directory: string;
  /** Without a byte for so long, a fetch is given up. */
  readonly stallMs: number;
  /** Opens the blob upstream. */
  readonly open: (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;
  /** Records the upload, so that the collector knows it. */
  readonly begun: (id: string) => Promise<void>;
  readonly ended: (id: string) => Promise<void>;
  /** Called before readers are told, so that who tries again at once does not get this fetch again. */
  readonly failed: () => void;
  readonly beforeCommit: () => Promise<void>;
  readonly afterCommit: () => Promise<void>;
}

export class BlobFetch {
  readonly #tail: TailFile;
  /** Resolves when the blob is stored. */
  readonly done: Promise<void>;

  private constructor(tail: TailFile, done: Promise<void>) {
    this.#tail = tail;
    this.done = done;
  }

  static async start(blob: Descriptor, options: FetchOptions): Promise<BlobFetch> {
    const tail = await TailFile.create(options.directory);
    const done = fetched(blob, tail, options);
    // Told to the readers, too.
    done.catch(() => undefined);
    return new BlobFetch(tail, done);
  }

  read(range?: ByteRange): ReadableStream<Uint8Array> {
    return this.#tail.read(range?.start, range?.end);
  }
}

async function fetched(blob: Descriptor, tail: TailFile, options: FetchOptions): Promise<void> {
  const { blobs } = options;
  const id = crypto.randomUUID();
  const hash = new Bun.CryptoHasher(blob.digest.startsWith("sha512:") ? "sha512" : "sha256");
  let length = 0;
  async function* passed(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const piece of source) {
      length += piece.length;
      if (length > blob.size) throw wrong(blob, `it has more than ${blob.size} bytes`);
      hash.update(piece);
      await tail.write(piece);
      yield piece;
    }
  }
  try {
    await options.begun(id);
    await blobs.begin(id);
    await withoutStalls(options, async (source) => blobs.append(id, passed(source), blob.size));
    if (length !== blob.size) throw wrong(blob, `it has ${length} bytes, not ${blob.size}`);
    if (hash.digest("hex") !== digestHex(blob.digest)) throw wrong(blob, "its bytes have another digest");
    await options.beforeCommit();
    await blobs.commit(id, blob.digest);
    await blobs.sync([blob.digest]);
    await options.afterCommit();
    await tail.finish();
  } catch (error) {
    options.failed();
    await tail.finish(error);
    await blobs.cancel(id).catch(() => undefined);
    throw error;
  } finally {
    // Left alone, it expires.
    await options.ended(id).catch(() => undefined);
  }
}

/** Ends `work` when its source gives nothing for too long. */
async function withoutStalls(
  { open, stallMs }: FetchOptions,
  work: (source: AsyncIterable<Uint8Array>) => Promise<unknown>,
): Promise<void> {
  const controller = new AbortController();
  const stalled = new Interrupt();
  // The source is aborted when the wait has ended: an abort first would give its streams, which nobody reads, the error.
  const giveUp = (): void =>
    stalled.raise(new GantryError("timeout", `upstream has sent nothing for ${stallMs / 1000} s`));
  async function* watched(): AsyncIterable<Uint8Array> {
    let timer = setTimeout(giveUp, stallMs);
    let iterator: AsyncIterator<Uint8Array> | undefined;
    try {
      const source = await stalled.wait(open(controller.signal));
      iterator = source[Symbol.asyncIterator]();
      for (;;) {
        const { done, value } = await stalled.wait(iterator.next());
        if (done === true) return;
        clearTimeout(timer);
        yield value;
        timer = setTimeout(giveUp, stallMs);
      }
    } finally {
      clearTimeout(timer);
      controller.abort();
      void iterator?.return?.().catch(() => undefined);
    }
  }
  await work(watched());
}

function wrong({ digest }: Descriptor, why: string): GantryError {
  return new GantryError("corrupt", `upstream has sent a wrong blob ${digest}: ${why}`);
}
