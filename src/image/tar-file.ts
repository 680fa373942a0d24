/** A tar that is written file by file and appears under its name when it is whole. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { tarHeader, tarPadding, tarTrailer, toGantryError, GantryError } from "../lib/index.ts";
import { syncDirectory } from "./content-store.ts";

export interface NewFile {
  readonly path: string;
  /** Bytes; undefined: it is known when they have been written. */
  readonly size: number | undefined;
}

export class TarFile {
  readonly #name: string;
  readonly #temporary: string;
  readonly #fd: number;
  #at = 0;
  /** One file after the other, whoever asks. */
  #last: Promise<unknown> = Promise.resolve();

  /** @throws {GantryError} when the directory cannot be written to */
  constructor(name: string) {
    this.#name = name;
    this.#temporary = join(dirname(name), `.${basename(name)}-${randomBytes(8).toString("hex")}`);
    try {
      this.#fd = fs.openSync(this.#temporary, "wx", 0o644);
    } catch (error) {
      throw toGantryError(error, `write ${name}`);
    }
  }

  /** A file that fails leaves nothing in the tar. @returns its bytes */
  add(file: NewFile, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    const added = this.#last.then(() => this.#add(file, bytes));
    this.#last = added.catch(() => undefined);
    return added;
  }

  async addBytes(path: string, bytes: Uint8Array): Promise<void> {
    await this.add({ path, size: bytes.length }, once(bytes));
  }

  async #add({ path, size }: NewFile, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    const start = this.#at;
    try {
      const header = tarHeader({ path, type: "file", size: size ?? 0 });
      this.#write(header);
      let count = 0;
      for await (const chunk of bytes) {
        this.#write(chunk);
        count += chunk.length;
      }
      if (size === undefined)
        this.#patch(start, tarHeader({ path, type: "file", size: count }), header.length);
      this.#write(tarPadding(count));
      return count;
    } catch (error) {
      fs.ftruncateSync(this.#fd, start);
      this.#at = start;
      throw toGantryError(error, `write ${path} to ${this.#name}`);
    }
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;)
      at += fs.writeSync(this.#fd, bytes, at, bytes.length - at, this.#at + at);
    this.#at += bytes.length;
  }

  #patch(position: number, header: Uint8Array, room: number): void {
    if (header.length !== room)
      throw new GantryError("unsupported", "a layer of 8 GiB or more cannot be written to a docker-archive", {
        hint: "write an oci-archive",
      });
    fs.writeSync(this.#fd, header, 0, header.length, position);
  }

  /** The tar takes its name. */
  async finish(): Promise<void> {
    await this.#last;
    try {
      this.#write(tarTrailer);
      fs.fsyncSync(this.#fd);
      fs.closeSync(this.#fd);
      fs.renameSync(this.#temporary, this.#name);
      syncDirectory(dirname(this.#name));
    } catch (error) {
      fs.rmSync(this.#temporary, { force: true });
      throw toGantryError(error, `write ${this.#name}`);
    }
  }

  async discard(): Promise<void> {
    await this.#last;
    fs.closeSync(this.#fd);
    fs.rmSync(this.#temporary, { force: true });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}
