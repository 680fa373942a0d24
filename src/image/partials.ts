/**
 * Downloads on their way: `ingest/download-ALGORITHM-HEX`. One that broke off is kept for a day, so that the next pull goes
 * on where it ended, also of another process; its bytes are hashed again then. All others in `ingest` are gone at start.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { type Digest, isErrno } from "../lib/index.ts";

const prefix = "download-";
const maxAgeMs = 24 * 3600_000;
/** Together; the oldest go first. */
const maxTotalBytes = 4 * 2 ** 30;
/** A shorter one is not worth the file. */
const minBytes = 1 << 16;

export function isPartial(name: string): boolean {
  return name.startsWith(prefix);
}

interface Partial {
  readonly path: string;
  readonly size: number;
  readonly modifiedMs: number;
}

export class Partials {
  readonly #dir: string;
  readonly #busy = new Map<string, number>();

  /** @param dir the temporary directory of the content store */
  constructor(dir: string) {
    this.#dir = dir;
  }

  path(digest: Digest): string {
    return join(this.#dir, prefix + digest.replace(":", "-"));
  }

  /** Somebody needs the file until the result is disposed of. */
  use(digest: Digest): Disposable {
    const path = this.path(digest);
    this.#busy.set(path, (this.#busy.get(path) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#busy.get(path) ?? 1) - 1;
        if (left === 0) this.#busy.delete(path);
        else this.#busy.set(path, left);
      },
    };
  }

  /** Removes what is too old, too much or too short to go on with; with `all` everything that nobody needs. */
  collect(nowMs: number, all: boolean): number {
    let freed = 0;
    let total = 0;
    for (const { path, size, modifiedMs } of this.#idle().sort((a, b) => b.modifiedMs - a.modifiedMs)) {
      total += size;
      const isWorthIt = size >= minBytes && nowMs - modifiedMs < maxAgeMs && total <= maxTotalBytes;
      if (isWorthIt && !all) continue;
      fs.rmSync(path, { force: true });
      freed += size;
    }
    return freed;
  }

  #idle(): Partial[] {
    const found: Partial[] = [];
    for (const name of fs.readdirSync(this.#dir)) {
      const path = join(this.#dir, name);
      if (!isPartial(name) || this.#busy.has(path)) continue;
      try {
        const { size, mtimeMs } = fs.lstatSync(path);
        found.push({ path, size, modifiedMs: mtimeMs });
      } catch (error) {
        // ENOENT: it has just become a blob.
        if (!isErrno(error, "ENOENT")) throw error;
      }
    }
    return found;
  }
}
