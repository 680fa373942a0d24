/**
 * Big blobs are brought to the disk as soon as they are whole, a few at a time, beside what comes next: a disk that has
 * nothing to do until a manifest comes makes everybody wait then.
 */
import { closeSync, fsync } from "node:fs";
import type { Digest } from "../lib/index.ts";

/** One is one task of a thread, and the next is begun only when this thread gets to it. */
const maxRunning = 4;
/** Those in line beyond these are left to the manifest. */
const maxWaiting = 64;
const maxKept = 10_000;

export class EarlySyncs {
  readonly #waiting = new Map<Digest, number>();
  readonly #begun = new Map<Digest, Promise<void>>();
  #running = 0;

  /** @param fd of the blob's file; closed when it is not needed any more */
  add(digest: Digest, fd: number): void {
    if (this.#waiting.has(digest) || this.#waiting.size >= maxWaiting) return closeSync(fd);
    this.#waiting.set(digest, fd);
    this.#next();
  }

  /** Resolves when the blob's bytes are on the disk. undefined: nobody has begun that. */
  of(digest: Digest): Promise<void> | undefined {
    this.#leave(digest);
    return this.#begun.get(digest);
  }

  forget(digest: Digest): void {
    this.#leave(digest);
    this.#begun.delete(digest);
  }

  /** What has been begun ends; nothing else begins. */
  close(): void {
    for (const digest of this.#waiting.keys()) this.#leave(digest);
  }

  #leave(digest: Digest): void {
    const fd = this.#waiting.get(digest);
    if (fd === undefined) return;
    this.#waiting.delete(digest);
    closeSync(fd);
  }

  #next(): void {
    for (const [digest, fd] of this.#waiting) {
      if (this.#running >= maxRunning) return;
      this.#waiting.delete(digest);
      this.#begin(digest, fd);
    }
  }

  #begin(digest: Digest, fd: number): void {
    this.#running += 1;
    const synced = new Promise<void>((resolve, reject) => {
      fsync(fd, (error) => {
        this.#running -= 1;
        closeSync(fd);
        if (error === null) resolve();
        else reject(error);
        this.#next();
      });
    });
    // Whoever pushes the manifest is told.
    synced.catch(() => undefined);
    this.#begun.set(digest, synced);
    for (const oldest of this.#begun.keys()) {
      if (this.#begun.size <= maxKept) break;
      this.#begun.delete(oldest);
    }
  }
}
