/** All manifests that belong to one: an index, the indexes in it, their images. Bounded, whoever has made them. */
import { GantryError } from "../lib/index.ts";
import {
  type Descriptor,
  isManifestType,
  type Manifest,
  parseManifest,
  type RawManifest,
} from "./manifest.ts";

/** Indexes in indexes: two are in use, an index of multi-platform images. */
const maxDepth = 8;
/** Manifests in all. Each is a request and is kept. */
const maxManifests = 10_000;

export interface WalkOptions {
  /** The bytes of a manifest that an index lists; undefined: go on without. */
  readonly fetch: (descriptor: Descriptor) => Promise<RawManifest | undefined>;
  /** Which of an index's manifests to go into; all without it. */
  readonly choose?: (index: RawManifest, manifests: readonly Descriptor[]) => readonly Descriptor[];
}

export interface WalkedManifest {
  readonly raw: RawManifest;
  readonly manifest: Manifest;
  /** 0 for the one that the walk began with. */
  readonly depth: number;
}

/**
 * Yields each manifest once, those of an index before the index itself: the order in which they can be written.
 * @throws {GantryError} "corrupt" for an index that is nested too deep, holds itself, or has too many manifests
 */
export async function* walkIndex(
  root: RawManifest,
  options: WalkOptions,
): AsyncGenerator<WalkedManifest, void, void> {
  yield* visit(root, options, { above: [], seen: new Set() });
}

interface Way {
  /** Digests of the indexes that lead here. */
  readonly above: readonly string[];
  readonly seen: Set<string>;
}

async function* visit(
  raw: RawManifest,
  options: WalkOptions,
  { above, seen }: Way,
): AsyncGenerator<WalkedManifest, void, void> {
  const manifest = parseManifest(raw.bytes, raw.mediaType);
  seen.add(raw.digest);
  if (manifest.kind === "index") {
    const way = { above: [...above, raw.digest], seen };
    const { manifests } = manifest;
    for (const descriptor of options.choose?.(raw, manifests) ?? manifests) {
      if (!isManifestType(descriptor.mediaType)) continue;
      if (way.above.includes(descriptor.digest)) throw refused(raw, "holds itself: it is cyclic");
      if (seen.has(descriptor.digest)) continue;
      if (way.above.length > maxDepth) throw refused(raw, `is nested more than ${maxDepth} levels deep`);
      if (seen.size >= maxManifests) throw refused(raw, `has more than ${maxManifests} manifests`);
      const child = await options.fetch(descriptor);
      if (child !== undefined) yield* visit(child, options, way);
    }
  }
  yield { raw, manifest, depth: above.length };
}

function refused(raw: RawManifest, why: string): GantryError {
  return new GantryError("corrupt", `the index ${raw.digest} ${why}`, {
    hint: "it is hostile or was made by a broken tool",
  });
}
