/** What the builder does with tar streams: hash them without their times, take a file out, make small ones. */
import type { Hash } from "node:crypto";
import {
  type TarEntry,
  TarReader,
  tarHeader,
  tarPadding,
  tarTrailer,
  type TarEntryInput,
} from "../../lib/index.ts";

function hashEntry(hash: Hash, entry: TarEntry): void {
  const { path, type, mode, uid, gid, size, linkPath, devMajor, devMinor, xattrs } = entry;
  const attributes = [...xattrs]
    .map(([name, value]) => [name, Buffer.from(value).toString("base64")])
    .toSorted();
  const text = JSON.stringify([path, type, mode, uid, gid, size, linkPath, devMajor, devMinor, attributes]);
  hash.update(`${text.length}:${text}`);
}

/**
 * Adds a tar to a hash: everything of its entries but their times, so that a fresh checkout of the same files is the same.
 * @throws {GantryError} "corrupt" when it is no tar
 */
export async function hashTar(hash: Hash, source: AsyncIterable<Uint8Array>): Promise<void> {
  const reader = new TarReader();
  for await (const chunk of source) {
    for (const event of reader.push(chunk)) {
      if (event.kind === "entry") hashEntry(hash, event.entry);
      else if (event.kind === "data")
        hash.update(`@${event.offset},${event.bytes.length}:`).update(event.bytes);
    }
  }
  reader.finish();
}

/** The bytes of the only file in a tar; holes of a sparse file are filled in. */
export async function* onlyFile(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = new TarReader();
  let at = 0;
  for await (const chunk of source) {
    for (const event of reader.push(chunk)) {
      if (event.kind === "data") {
        yield* zeros(event.offset - at);
        // The view is only valid until the next event, and the consumer may keep it longer.
        yield Uint8Array.from(event.bytes);
        at = event.offset + event.bytes.length;
      } else if (event.kind === "end") yield* zeros(event.entry.size - at);
    }
  }
}

const hole = new Uint8Array(1 << 16);

function* zeros(count: number): Generator<Uint8Array, void, void> {
  for (let left = count; left > 0; left -= hole.length) yield hole.subarray(0, Math.min(left, hole.length));
}

export interface SmallFile {
  readonly name: string;
  readonly content: string;
  readonly mode: number;
}

/** A tar of a few files. */
export async function* tarOf(files: readonly SmallFile[]): AsyncGenerator<Uint8Array, void, void> {
  for (const { name, content, mode } of files) {
    const bytes = Buffer.from(content);
    const entry: TarEntryInput = { path: name, type: "file", mode, size: bytes.length };
    yield tarHeader(entry);
    yield bytes;
    yield tarPadding(bytes.length);
  }
  yield tarTrailer;
}

/** True when `head` begins with a tar header: its checksum (POSIX pax, "ustar Interchange Format") is right. */
export function isTarHead(head: Uint8Array): boolean {
  if (head.length < 512) return false;
  const field = Buffer.from(head.subarray(148, 156))
    .toString("latin1")
    .replaceAll(/[\0 ]+$/g, "")
    .trim();
  if (!/^[0-7]{1,8}$/.test(field)) return false;
  let sum = 0;
  for (let i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 0x20 : (head[i] ?? 0);
  return sum === Number.parseInt(field, 8);
}
