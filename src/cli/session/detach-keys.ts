/** The keys that leave a terminal session while its program goes on (docker's --detach-keys). Pure. */
import { CliError } from "../errors.ts";

/** Bytes of `ctrl-p,ctrl-q`. @throws {CliError} for a key that does not exist */
export function parseDetachKeys(text: string): readonly number[] {
  return text.split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    throw new CliError(`invalid escape keys (${text}) provided: Unknown character: '${key}'`, {
      exitCode: 125,
    });
  });
}

export const defaultDetachKeys = "ctrl-p,ctrl-q";

/** Looks for the sequence in what is typed. What may be its beginning is held back until the next key decides. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** The bytes to pass on, and whether the sequence is complete (then nothing more counts). */
  push(bytes: Uint8Array): { readonly pass: Uint8Array; readonly detached: boolean } {
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
