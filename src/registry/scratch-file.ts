/** A file without a name: it is gone when it is closed or we are killed. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { mkdir, unlink } from "node:fs/promises";
import { promisify } from "node:util";

// Not FileHandles: those end the process when one is forgotten.
const open = promisify(fs.open);
const close = promisify(fs.close);
const read = promisify(fs.read);

export class ScratchFile {
  #fd: number | undefined;
  /** Who works with the descriptor now; it is closed after that. */
  #busy = 0;
  #isClosing = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static async create(directory: string): Promise<ScratchFile> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = `${directory}/scratch-${randomBytes(12).toString("hex")}`;
    const fd = await open(path, "wx+", 0o600);
    await unlink(path);
    return new ScratchFile(fd);
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await this.#using(async (fd) => {
      for (let at = 0; at < bytes.length;) {
        // At once, into the page cache: a reader that waits makes its connection pile up bytes in memory.
        const bytesWritten = fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
        at += bytesWritten;
      }
    });
  }

  /** Fills `bytes` from `position` on; how many there were. */
  async read(bytes: Uint8Array, position: number): Promise<number> {
    return this.#using(async (fd) => {
      let at = 0;
      while (at < bytes.length) {
        const { bytesRead } = await read(fd, bytes, at, bytes.length - at, position + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return at;
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#closeUnused();
  }

  async #using<T>(work: (fd: number) => Promise<T>): Promise<T> {
    if (this.#fd === undefined || this.#isClosing) throw new Error("a scratch file is closed");
    this.#busy += 1;
    try {
      return await work(this.#fd);
    } finally {
      this.#busy -= 1;
      await this.#closeUnused();
    }
  }

  async #closeUnused(): Promise<void> {
    const fd = this.#fd;
    if (!this.#isClosing || this.#busy > 0 || fd === undefined) return;
    this.#fd = undefined;
    await close(fd);
  }
}
