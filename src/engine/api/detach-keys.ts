/**
 * The keys that leave a terminal session while its program goes on, watched for on the engine's side, for clients that do
 * not look themselves. (The command line has its own: it must not load this room on its way to a container.) Pure.
 */
import { GantryError } from "../../lib/index.ts";

export const defaultDetachKeys = "ctrl-p,ctrl-q";

/** Bytes of `ctrl-p,ctrl-q`. @throws {GantryError} "invalid" for a key that does not exist */
export function parseDetachKeys(text: string): readonly number[] {
  return (text === "" ? defaultDetachKeys : text).split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    throw new GantryError(
      "invalid",
      `Invalid detach keys (${text.slice(0, 80)}): Unknown character: '${key.slice(0, 20)}'`,
    );
  });
}

/** Looks for the sequence in what is typed. What may be its beginning is held back until the next key decides. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** The bytes to pass on, and whether the sequence is complete. */
  push(bytes: Uint8Array): { readonly pass: Uint8Array; readonly detached: boolean } {
    // Pasted text: nothing held back and no first key in it.
    if (this.#matched === 0 && !bytes.includes(this.#keys[0] ?? -1)) return { pass: bytes, detached: false };
    const pass: number[] = [];
    for (const byte of bytes) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { pass: Uint8Array.from(pass), detached: true };
        continue;
      }
      pass.push(...this.#keys.slice(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) pass.push(byte);
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }
}
