/** COPY and ADD once the sources are known: their digest for the cache, and putting them into a tree. */
import { createHash } from "node:crypto";
import type { PackItem, TreeRoot, Trees } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import { openArchive } from "./archive.ts";
import type { Source } from "./find-sources.ts";
import type { Owner } from "./owner.ts";
import { hashTar, tarOf } from "./tar-content.ts";
import type { TreeView } from "./tree-view.ts";

type TreeSource = Extract<Source, { readonly root: TreeRoot }>;

const isTreeSource = (source: Source): source is TreeSource => source.kind !== "inline";

const rootOwner: Owner = { uid: 0, gid: 0 };

/** Neighbours of one tree: each run is packed by one child. */
function runsOfOneTree(sources: readonly Source[]): readonly (readonly Source[])[] {
  const keyOf = (source: Source): unknown =>
    isTreeSource(source) && source.kind !== "archive"
      ? `${source.mode}${JSON.stringify(source.root)}`
      : source.kind === "inline"
        ? "inline"
        : source;
  const runs: Source[][] = [];
  let last: unknown;
  for (const source of sources) {
    const key = keyOf(source);
    if (key === last) runs.at(-1)?.push(source);
    else runs.push([source]);
    last = key;
  }
  return runs;
}

/** How a source stands in the archive. Of a directory only its content is copied. */
function packItem(source: TreeSource, name: string): PackItem {
  return source.kind === "dir"
    ? { path: source.path, as: name, contentsOnly: true }
    : { path: source.path, as: name };
}

export interface DigestOptions {
  readonly trees: Trees;
  /** Owners count: they are kept. */
  readonly preserveOwner: boolean;
  readonly signal: AbortSignal;
}

/**
 * What history and cache know the files by: `file:`, `dir:` or, for several, `multi:` and a sha256 of names, attributes and
 * content; times do not count.
 */
export async function sourcesDigest(sources: readonly Source[], options: DigestOptions): Promise<string> {
  const hash = createHash("sha256");
  for (const run of runsOfOneTree(sources)) {
    const files = run.flatMap((source) =>
      source.kind === "inline" ? [{ ...source.file, mode: 0o644 }] : [],
    );
    if (files.length > 0) await hashTar(hash, tarOf(files));
    const trees = run.filter(isTreeSource);
    const first = trees[0];
    if (first === undefined) continue;
    const items = trees.map((source, i) =>
      packItem(source, source.kind === "dir" ? `${i}` : `${i}/${source.name}`),
    );
    const owner = options.preserveOwner ? {} : { owner: rootOwner };
    await hashTar(hash, options.trees.pack(first.root, { items, ...owner, signal: options.signal }));
  }
  const only = sources.length === 1 ? sources[0] : undefined;
  const prefix = only === undefined ? "multi" : only.kind === "dir" ? "dir" : "file";
  return `${prefix}:${hash.digest("hex")}`;
}

export interface WriteOptions {
  readonly trees: Trees;
  /** The image that is written to, as it was before. */
  readonly image: TreeView;
  /** The same with an upper directory. */
  readonly target: TreeRoot;
  /** Absolute; with a slash at its end it is a directory. */
  readonly destination: string;
  readonly owner: Owner | undefined;
  readonly chmod: number | undefined;
  readonly preserveOwner: boolean;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";
const baseOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

interface Place {
  readonly dir: string;
  /** The name of a single file in `dir`; undefined: its own. */
  readonly name: string | undefined;
}

/** A file goes into a directory if the destination is one or ends with a slash; a directory's content always does. */
async function placeOf(sources: readonly Source[], { destination, image }: WriteOptions): Promise<Place> {
  const path = destination.replace(/\/+$/, "") || "/";
  const kind = path === "/" ? "dir" : await image.kindOf(path);
  const only = sources.length === 1 ? sources[0] : undefined;
  const intoFile = (only?.kind === "file" || only?.kind === "inline") && !destination.endsWith("/");
  if (intoFile && kind !== "dir") return { dir: parentOf(path), name: baseOf(path) };
  if (kind !== undefined && kind !== "dir")
    throw new GantryError("conflict", `cannot copy to non-directory: ${path}`, { fields: { path } });
  return { dir: path, name: undefined };
}

/**
 * Puts the sources into the tree, in their order. Directories on the way are made as docker makes them: mode 755, owned as
 * the files are.
 */
export async function writeSources(sources: readonly Source[], options: WriteOptions): Promise<void> {
  const place = await placeOf(sources, options);
  for (const run of runsOfOneTree(sources)) {
    for await (const stream of streamsOf(run, place, options)) {
      await options.trees.unpack(options.target, place.dir, stream, {
        ...(options.owner === undefined ? {} : { owner: options.owner }),
        maxBytes: options.maxBytes,
        signal: options.signal,
      });
    }
  }
}

/** The tar streams of one run. */
async function* streamsOf(
  run: readonly Source[],
  place: Place,
  options: WriteOptions,
): AsyncGenerator<AsyncIterable<Uint8Array>, void, void> {
  const first = run[0];
  if (first === undefined) return;
  if (first.kind === "archive") {
    const { maxBytes, signal } = options;
    const archive = await openArchive(options.trees, first, { maxBytes, signal });
    if (archive === undefined) throw new GantryError("corrupt", `${first.path} is no archive any more`);
    yield archive;
  } else if (first.kind === "inline") {
    const mode = options.chmod ?? 0o644;
    yield tarOf(
      run.flatMap((one) =>
        one.kind === "inline" ? [{ ...one.file, name: place.name ?? one.name, mode }] : [],
      ),
    );
  } else {
    const items = run
      .filter(isTreeSource)
      .map((one) => packItem(one, one.kind === "dir" ? "" : (place.name ?? one.name)));
    const mode = options.chmod ?? first.mode;
    yield options.trees.pack(first.root, {
      items,
      ...(options.preserveOwner ? {} : { owner: rootOwner }),
      ...(mode === undefined ? {} : { chmod: mode }),
      signal: options.signal,
    });
  }
}
