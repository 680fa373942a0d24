/** Telling and undoing compression of streams: gzip (RFC 1952) and zstd (RFC 8878), by their first bytes. */
import type { Duplex } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { GantryError, messageOf } from "../lib/index.ts";

export type Compression = "none" | "gzip" | "zstd";

const refused: readonly (readonly [magic: readonly number[], name: string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "xz"],
  [[0x42, 0x5a, 0x68], "bzip2"],
  [[0x04, 0x22, 0x4d, 0x18], "lz4"],
];

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

/**
 * @param head at least 6 bytes, unless the input is shorter
 * @throws {GantryError} "unsupported" for xz, bzip2 and lz4
 */
export function detectCompression(head: Uint8Array): Compression {
  if (startsWith(head, [0x1f, 0x8b])) return "gzip";
  if (startsWith(head, [0x28, 0xb5, 0x2f, 0xfd])) return "zstd";
  // A zstd stream may begin with a skippable frame.
  if (startsWith(head.subarray(1), [0x2a, 0x4d, 0x18]) && ((head[0] ?? 0) & 0xf0) === 0x50) return "zstd";
  for (const [magic, name] of refused) {
    if (!startsWith(head, magic)) continue;
    throw new GantryError(
      "unsupported",
      `the archive is compressed with ${name}, which gantry does not read`,
      {
        hint: `decompress it first: ${name} -dc FILE | …`,
      },
    );
  }
  return "none";
}

/** A stream whose first bytes have been looked at. */
export interface Peeked {
  /** At least `wanted` bytes, unless the source is shorter. */
  readonly head: Uint8Array;
  /** All of the source, the head included. */
  readonly all: AsyncGenerator<Uint8Array, void, void>;
}

export async function peek(source: AsyncIterable<Uint8Array>, wanted: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < wanted) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  return { head, all: resume(head, iterator) };
}

async function* resume(
  head: Uint8Array,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  let ended = false;
  try {
    if (head.length > 0) yield head;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) break;
      yield next.value;
    }
    ended = true;
  } finally {
    if (!ended) await iterator.return?.();
  }
}

/** How far an archive may expand. */
export interface ExpansionLimits {
  /** Most bytes to come out. */
  readonly maxBytes: number;
}

/** Beyond the first, as many bytes may come out for each that went in: gzip's best is 1032. */
const freeExpansionBytes = 4 * 2 ** 30;
const maxRatio = 4096;

/**
 * The decompressed stream. Runs off the event loop's thread.
 * @throws {GantryError} "corrupt" for damaged input, "exhausted" beyond the limits
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  limits: ExpansionLimits,
): AsyncGenerator<Uint8Array, void, void> {
  const { head, all } = await peek(source, 6);
  const kind = detectCompression(head);
  const counter = { in: 0, out: 0 };
  const input = counted(all, counter);
  const output = kind === "none" ? input : inflate(gathered(input), kind);
  for await (const chunk of output) {
    counter.out += chunk.length;
    checkExpansion(counter, limits, kind);
    yield chunk;
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  counter: { in: number },
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    counter.in += chunk.length;
    yield chunk;
  }
}

/** Fewer than this at once cost more in going to the codec's thread and back than in being inflated. */
const leastInflateBytes = 1 << 17;

/** The same bytes in larger pieces: networks and pipes give small ones. */
async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    parts.push(chunk);
    size += chunk.length;
    if (size < leastInflateBytes) continue;
    yield parts.length === 1 ? chunk : Buffer.concat(parts);
    parts = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(parts);
}

function checkExpansion(
  counter: { in: number; out: number },
  limits: ExpansionLimits,
  kind: Compression,
): void {
  if (counter.out > limits.maxBytes) {
    throw new GantryError(
      "exhausted",
      `no space left on device: the archive unpacks to more than ${limits.maxBytes} bytes`,
      {
        hint: "free disk space, for example with: gantry system prune",
      },
    );
  }
  if (kind !== "none" && counter.out > freeExpansionBytes && counter.out > counter.in * maxRatio) {
    throw new GantryError(
      "corrupt",
      `the archive expands more than ${maxRatio}-fold: it is a decompression bomb`,
    );
  }
}

async function* inflate(
  source: AsyncIterable<Uint8Array>,
  kind: "gzip" | "zstd",
): AsyncGenerator<Uint8Array, void, void> {
  const codec: Duplex =
    kind === "gzip" ? createGunzip({ chunkSize: 1 << 18 }) : createZstdDecompress({ chunkSize: 1 << 18 });
  // The loop below is told of errors by itself; those that come when it has been left concern nobody.
  codec.on("error", () => undefined);
  const pumped = pump(source, codec);
  try {
    for await (const chunk of codec) yield chunk as Uint8Array;
    await pumped;
  } catch (error) {
    if (!isZlibError(error)) throw error;
    throw new GantryError("corrupt", `the ${kind} data is damaged or truncated: ${messageOf(error)}`, {
      cause: error,
      hint: "get or make the archive anew",
    });
  } finally {
    codec.destroy();
  }
}

/** Feeds the codec no faster than it takes; a failing source ends it with the source's own error. Never rejects. */
async function pump(source: AsyncIterable<Uint8Array>, codec: Duplex): Promise<void> {
  try {
    for await (const chunk of source) {
      if (codec.destroyed) return;
      if (!codec.write(chunk)) await drained(codec);
    }
    codec.end();
  } catch (error) {
    codec.destroy(error instanceof Error ? error : new Error(messageOf(error)));
  }
}

function drained(codec: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ["drain", "close", "error"]) codec.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) codec.on(event, done);
  });
}

function isZlibError(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && /^(Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(String(error.code))
  );
}
