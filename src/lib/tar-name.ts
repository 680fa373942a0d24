/**
 * Names in archives and file systems are bytes; most, but not all of them, are UTF-8. As text, a byte that is no part of
 * UTF-8 stands as the lone surrogate U+DC00 + byte, so that any name goes through text and comes back byte for byte
 * (Python's "surrogateescape"). `isWellFormed()` tells an ordinary name from such a one.
 */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const escapeBase = 0xdc00;
/** With the flag u, only lone surrogates match. */
const escapes = /[\udc80-\udcff]/u;

/** Bytes of a name to text. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    // TypeError: it is not UTF-8.
    return decodeEscaped(bytes);
  }
}

function decodeEscaped(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    text +=
      length === 0
        ? String.fromCharCode(escapeBase + (bytes[at] ?? 0))
        : Buffer.from(bytes.subarray(at, at + length)).toString("utf8");
    at += Math.max(1, length);
  }
  return text;
}

/** Bytes of the UTF-8 sequence at `at`; 0 when there is none (Unicode, table 3-7, "Well-Formed UTF-8 Byte Sequences"). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i] ?? 0;
    const least = i > 1 ? 0x80 : first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const most = i > 1 ? 0xbf : first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (next < least || next > most) return 0;
  }
  return length;
}

/** Text that `decodeName` made back to its bytes. */
export function encodeName(text: string): Buffer {
  if (text.isWellFormed() || !escapes.test(text)) return Buffer.from(text);
  const parts = Array.from(text, (character) =>
    escapes.test(character) ? Buffer.from([character.charCodeAt(0) - escapeBase]) : Buffer.from(character),
  );
  return Buffer.concat(parts);
}

/** How many bytes a name has. */
export function nameBytes(text: string): number {
  return text.isWellFormed() ? Buffer.byteLength(text) : encodeName(text).length;
}

/** What node:fs takes for a name: the text itself where that is exact, else the bytes. */
export function fsName(text: string): string | Buffer {
  return text.isWellFormed() ? text : encodeName(text);
}
