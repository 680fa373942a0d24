/** Headers of a tar stream: ustar, with a pax header where a field does not fit (POSIX 1003.1, pax interchange format). Pure. */

import { encodeName } from "../../lib/index.ts";

export interface TarEntry {
  /** Relative path; of a directory, with a slash at its end. */
  readonly name: string;
  readonly kind: "file" | "directory" | "symlink" | "fifo";
  readonly mode: number;
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly target?: string;
}

const block = 512;
const flags = { file: "0", directory: "5", symlink: "2", fifo: "6" } as const;

/** What stands before the entry's content. */
export function tarHeader(entry: TarEntry): Uint8Array {
  const records: Buffer[] = [];
  if (Buffer.byteLength(entry.name) > 100 || /[^\x20-\x7e]/.test(entry.name))
    records.push(paxRecord("path", entry.name));
  const target = entry.target ?? "";
  if (Buffer.byteLength(target) > 100 || /[^\x20-\x7e]/.test(target))
    records.push(paxRecord("linkpath", target));
  if (entry.bytes >= 8 ** 11) records.push(paxRecord("size", String(entry.bytes)));
  const main = ustar(entry, flags[entry.kind]);
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const pax = ustar({ name: "pax_header", kind: "file", mode: 0o644, bytes: body.length, mtime: 0 }, "x");
  return Buffer.concat([pax, body, tarPadding(body.length), main]);
}

/** Zeros up to the next block. */
export function tarPadding(bytes: number): Uint8Array {
  return new Uint8Array((block - (bytes % block)) % block);
}

/** The two empty blocks that end an archive. */
export const tarEnd: Uint8Array = new Uint8Array(2 * block);

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const text = encodeName(` ${key}=${value}\n`);
  const rest = text.length;
  let length = rest + String(rest).length;
  if (rest + String(length).length > length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), text]);
}

function ustar(entry: TarEntry, flag: string): Uint8Array {
  const header = Buffer.alloc(block);
  const octal = (value: number, at: number, width: number): void => {
    header.write(
      Math.min(value, 8 ** (width - 1) - 1)
        .toString(8)
        .padStart(width - 1, "0"),
      at,
      "latin1",
    );
  };
  const text = (value: string, at: number, width: number): void =>
    void encodeName(value).copy(header, at, 0, width);
  text(entry.name, 0, 100);
  octal(entry.mode & 0o7777, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(entry.bytes, 124, 12);
  octal(Math.max(0, entry.mtime), 136, 12);
  header.fill(0x20, 148, 156);
  text(flag, 156, 1);
  text(entry.target ?? "", 157, 100);
  text("ustar", 257, 6);
  text("00", 263, 2);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}
