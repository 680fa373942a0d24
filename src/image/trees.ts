/** Files of container and image trees, handled by confined children: the engine itself never follows a path of theirs. */
import * as fs from "node:fs";
import { join } from "node:path";
import { GantryError } from "../lib/index.ts";
import type { Sys } from "../kernel/index.ts";
import { runChild, streamChild } from "./child.ts";
import type { Owner, PackItem, TreeRoot } from "./child-request.ts";
import { spendableBytes } from "./free-space.ts";
import { readLayerFile } from "./layer-file.ts";
import type { ListedEntry } from "./list-tree.ts";
import type { TreeSummary } from "./tree-writer.ts";

export interface PackRequest {
  readonly items: readonly PackItem[];
  /** Paths below the root, in the spelling of the items' paths, that are left out with all below them. */
  readonly exclude?: readonly string[];
  /** Instead of the files' own. */
  readonly owner?: Owner | undefined;
  /** Mode of everything but links, instead of their own. */
  readonly chmod?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface UnpackOptions {
  /** Instead of the archive's; also of directories that are made on the way to the destination. */
  readonly owner?: Owner | undefined;
  /** Most bytes of content; less when the disk has less. */
  readonly maxBytes?: number;
  /** Take a tar without its end mark (TarLimits). */
  readonly missingTrailer?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ListOptions {
  readonly recursive: boolean;
  readonly signal?: AbortSignal | undefined;
}

type TreesSys = Pick<Sys, "statfs" | "getXattr">;

const maxListEntries = 1_000_000;
const newline = 0x0a;

export class Trees {
  readonly #sys: TreesSys;
  readonly #scratch: string;
  /** The last writer of each tree, by its path on the host. */
  readonly #writers = new Map<string, Promise<void>>();

  /** @param root the engine's data directory */
  constructor(sys: TreesSys, root: string) {
    this.#sys = sys;
    this.#scratch = join(root, "scratch");
    fs.mkdirSync(this.#scratch, { recursive: true, mode: 0o700 });
  }

  /**
   * A deterministic tar of chosen paths.
   * @throws {GantryError} "not-found" that names the path; while it is read
   */
  pack(root: TreeRoot, { items, exclude, owner, chmod, signal }: PackRequest): AsyncIterable<Uint8Array> {
    const options = { ...(owner === undefined ? {} : { owner }), ...(chmod === undefined ? {} : { chmod }) };
    const work = { job: "pack", root, items, exclude: exclude ?? [], ...options } as const;
    return streamChild({ scratch: this.#scratch, work, signal });
  }

  /**
   * Extracts a plain tar below `dest`, which is made when missing. A link to a directory in the tree is followed inside the
   * root; a directory is never replaced by a file.
   */
  async unpack(
    root: TreeRoot,
    dest: string,
    source: AsyncIterable<Uint8Array>,
    options: UnpackOptions = {},
  ): Promise<TreeSummary> {
    const { owner, signal, missingTrailer = false } = options;
    const target = hostPathOf(root);
    if (target === undefined) throw new GantryError("denied", "the tree is read-only");
    const maxBytes = Math.min(options.maxBytes ?? Infinity, spendableBytes(this.#sys, target));
    const work = {
      job: "unpack",
      root,
      dest,
      maxBytes,
      missingTrailer,
      ...(owner === undefined ? {} : { owner }),
    } as const;
    return this.#alone(
      target,
      async () => (await runChild({ scratch: this.#scratch, work, source, signal })) as TreeSummary,
    );
  }

  /** Writers of one tree one after the other: an upper directory serves one mount at a time. */
  async #alone<T>(path: string, work: () => Promise<T>): Promise<T> {
    const before = this.#writers.get(path);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#writers.set(path, promise);
    try {
      await before;
      return await work();
    } finally {
      resolve();
      if (this.#writers.get(path) === promise) this.#writers.delete(path);
    }
  }

  /**
   * The path itself (looked through if it is a link) and what is in it, sorted; undefined when it does not exist.
   * @throws {GantryError} "exhausted" for more than a million files
   */
  async list(
    root: TreeRoot,
    path: string,
    { recursive, signal }: ListOptions,
  ): Promise<readonly ListedEntry[] | undefined> {
    const work = { job: "list", root, path, recursive, maxEntries: maxListEntries } as const;
    const { bytes, report } = await collect(streamChild({ scratch: this.#scratch, work, signal }));
    if (!exists(report)) return undefined;
    const entries: ListedEntry[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(newline, at);
      // Written by this same program.
      entries.push(JSON.parse(bytes.subarray(at, end).toString()) as ListedEntry);
      at = end + 1;
    }
    return entries;
  }

  /**
   * A small file, links followed inside the root; undefined when it does not exist.
   * @throws {GantryError} "exhausted" when it is larger than maxBytes, "invalid" when it is no regular file
   */
  async readFile(root: TreeRoot, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    if ("lowers" in root && root.upper === undefined) {
      // Layers never change, so that a path without links can be read without a child.
      const quick = readLayerFile(this.#sys, root.lowers, { path, maxBytes });
      if (quick !== "needs-child") return quick;
    }
    const work = { job: "read", root, path, maxBytes } as const;
    const { bytes, report } = await collect(streamChild({ scratch: this.#scratch, work }));
    return exists(report) ? bytes : undefined;
  }
}

/** A path on the file system that is written to; undefined for a tree that cannot be. */
function hostPathOf(root: TreeRoot): string | undefined {
  if ("dir" in root) return root.dir;
  return "process" in root ? `/proc/${root.process.pid}/root` : root.upper;
}

async function collect(
  stream: AsyncGenerator<Uint8Array, unknown, void>,
): Promise<{ readonly bytes: Buffer; readonly report: unknown }> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const next = await stream.next();
    if (next.done === true) return { bytes: Buffer.concat(chunks), report: next.value };
    chunks.push(next.value);
  }
}

function exists(report: unknown): boolean {
  return typeof report === "object" && report !== null && "exists" in report && report.exists === true;
}
