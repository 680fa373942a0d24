/**
 * Layers as files, `layers/HEX/layer.erofs`: the archive as it came with an EROFS tree behind it. Writing one is a single
 * sequential pass; the kernel mounts it when the layer is first used.
 */
import * as fs from "node:fs";
import { basename, join } from "node:path";
import { runChild, streamChild } from "./child.ts";
import type { ChildJob, UnpackedLayer } from "./child-request.ts";
import { dataOffset } from "./erofs/format.ts";
import { LayerMounts } from "./erofs/layer-mounts.ts";
import { writeLayerFile } from "./erofs/write-layer-file.ts";
import { inherited } from "./erofs/inherited.ts";
import { dressInodes } from "./erofs/dress-inodes.ts";
import type { DriverSys, LayerDriver, SettleWork, UnpackWork } from "./layer-driver.ts";
import { linkToNothing } from "./tree-refusals.ts";
import { readFile } from "./content-store.ts";
import { digestOf } from "./stream-digest.ts";
import { type Digest, toGantryError } from "../lib/index.ts";

export class ErofsDriver implements LayerDriver {
  readonly name = "erofs";
  readonly keepsArchive = true;
  readonly mounts: LayerMounts;
  readonly #sys: DriverSys;
  readonly #scratch: string;
  /** Why fs-verity does not guard the files; undefined where it does. */
  #unguarded: string | undefined = "not looked at yet";

  /** @param root the data directory */
  constructor(sys: DriverSys, { root, scratch }: { readonly root: string; readonly scratch: string }) {
    this.#sys = sys;
    this.mounts = new LayerMounts(sys, root);
    this.#scratch = scratch;
  }

  owns(dir: string): boolean {
    return fs.existsSync(fileIn(dir));
  }

  view(dir: string): string {
    return this.mounts.path(basename(dir));
  }

  use(dir: string): string {
    return this.mounts.mount(basename(dir), fileIn(dir));
  }

  release(dir: string): void {
    this.mounts.unmount(basename(dir));
  }

  async unpack({ dir, maxBytes, missingTrailer, source, signal }: UnpackWork): Promise<UnpackedLayer> {
    fs.rmdirSync(join(dir, "fs"));
    const work: ChildJob = { job: "erofs-layer", file: fileIn(dir), maxBytes, missingTrailer };
    return (await runChild({ scratch: this.#scratch, work, source, signal })) as UnpackedLayer;
  }

  async settle({ dir, unpacked, tarSize, parents, signal }: SettleWork): Promise<void> {
    const file = fileIn(dir);
    const directories = inherited(this.#sys, unpacked.implied, parents);
    const { linkBelow } = unpacked;
    if (linkBelow !== undefined && parents.length === 0) throw linkToNothing(linkBelow);
    if (linkBelow !== undefined || directories.some(({ xattrs }) => xattrs.size > 0)) {
      const work: ChildJob = {
        job: "erofs-layer",
        file,
        // What has been written once has its place.
        maxBytes: Number.MAX_SAFE_INTEGER,
        missingTrailer: true,
        again: { tarSize, parents },
      };
      await runChild({ scratch: this.#scratch, work, signal });
    } else await dressInodes(file, unpacked, directories);
    await syncFile(file);
    if (this.#unguarded !== undefined) return;
    await runChild({ scratch: this.#scratch, work: { job: "guard-file", file }, signal });
  }

  /** Why fs-verity does not guard new files here. */
  get unguarded(): string | undefined {
    return this.#unguarded;
  }

  fingerprint(dir: string): Promise<Digest> {
    return digestOf(readFile(fileIn(dir)));
  }

  async *ownArchive(dir: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, void> {
    const work: ChildJob = { job: "layer-tar", target: this.use(dir) };
    try {
      yield* streamChild({ scratch: this.#scratch, work, signal });
    } finally {
      this.release(dir);
    }
  }

  async *archive(
    dir: string,
    tarSize: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, void> {
    await using file = await fs.promises.open(fileIn(dir), "r");
    for (let at = 0; at < tarSize;) {
      signal?.throwIfAborted();
      const piece = Buffer.allocUnsafeSlow(Math.min(1 << 18, tarSize - at));
      const { bytesRead } = await file.read(piece, 0, piece.length, dataOffset + at);
      // The digest that is checked at the end tells of it.
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  /**
   * Mounts a small file to learn whether this kernel and file system can.
   * @returns why not; undefined when they can
   */
  probe(temporary: string): string | undefined {
    const name = basename(temporary);
    try {
      const fd = fs.openSync(temporary, "wx+", 0o600);
      try {
        writeLayerFile({ fd, read: () => 0, maxBytes: 0, missingTrailer: true });
      } finally {
        fs.closeSync(fd);
      }
      this.mounts.mount(name, temporary);
      this.#unguarded = this.#tryToGuard(temporary);
      return undefined;
    } catch (error) {
      return whyNot(error);
    } finally {
      this.mounts.unmount(name);
      fs.rmSync(temporary, { force: true });
    }
  }

  #tryToGuard(file: string): string | undefined {
    const fd = fs.openSync(file, fs.constants.O_RDONLY);
    try {
      this.#sys.enableVerity(fd);
      return undefined;
    } catch (error) {
      return `the kernel or this file system has none (${errnoOf(error)})`;
    } finally {
      fs.closeSync(fd);
    }
  }
}

async function syncFile(path: string): Promise<void> {
  try {
    await using file = await fs.promises.open(path, "r");
    await file.sync();
  } catch (error) {
    throw toGantryError(error, "write the layer to disk");
  }
}

const causes: Readonly<Record<string, string>> = {
  ENODEV: "this kernel has no EROFS",
  ENOTBLK: "this kernel mounts EROFS from no file, or from none of this file system",
  EINVAL: "this kernel mounts no EROFS of this kind from a file of this file system",
  EPERM: "this kernel lets nobody mount EROFS here",
};

function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function whyNot(error: unknown): string {
  const { cause, message } = toGantryError(error);
  const code = errnoOf(cause);
  const words = causes[code];
  return words === undefined ? message : `${words} (${code})`;
}

function fileIn(dir: string): string {
  return join(dir, "layer.erofs");
}
