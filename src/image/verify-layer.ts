/** Whether a layer and its archive are still what they were. */
import { createHash } from "node:crypto";
import { type Digest, digestAlgorithm, GantryError, messageOf, parseDigest } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import type { ContentStore } from "./content-store.ts";
import type { LayerRow } from "./records.ts";
import type { ImageRoom } from "./room.ts";

interface Looked {
  /** In words; undefined: intact. */
  readonly damage: string | undefined;
  readonly missing?: boolean;
  /** Read for it. */
  readonly bytes: number;
}

export async function verifyBlob(
  content: ContentStore,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<Looked> {
  if (content.size(digest) === undefined) return { damage: "it is missing", missing: true, bytes: 0 };
  const hash = createHash(digestAlgorithm(digest));
  let bytes = 0;
  try {
    for await (const chunk of content.read(digest)) {
      throwIfAborted(signal);
      hash.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    throwIfAborted(signal);
    // EIO: the disk itself has lost it.
    return { damage: messageOf(error), bytes };
  }
  const actual = parseDigest(`${digestAlgorithm(digest)}:${hash.digest("hex")}`);
  return { damage: actual === digest ? undefined : `its digest now is ${actual}`, bytes };
}

/**
 * A layer that gantry can make a tar of is right when the tar has its digest. Of any other, what is on disk is compared with
 * what its archive makes when it is unpacked anew.
 */
export async function verifyLayer(
  room: ImageRoom,
  row: LayerRow,
  signal: AbortSignal | undefined,
): Promise<Looked> {
  const { layers } = room;
  if (!layers.isOnDisk(row)) return { damage: "its files are missing", missing: true, bytes: 0 };
  const bytes = row.tarSize;
  try {
    const now = await layers.fingerprint(row, signal);
    if (now === row.diffId) return { damage: undefined, bytes };
    const wanted = await rebuilt(room, row, signal, ({ fingerprint }) => fingerprint);
    return { damage: now === wanted ? undefined : "its files are not those of its archive", bytes };
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof GantryError && error.code === "exhausted") throw error;
    return { damage: `its files cannot be compared with its archive: ${messageOf(error)}`, bytes };
  }
}

/** Makes the layer's files anew. @throws {GantryError} "corrupt" when no archive of it is intact */
export function remakeLayer(room: ImageRoom, row: LayerRow, signal: AbortSignal | undefined): Promise<void> {
  return rebuilt(room, row, signal, ({ swap }) => swap());
}

interface Again {
  readonly fingerprint: Digest;
  swap(): void;
}

/** From the first archive that is intact: those beside the layer, then what the layer itself holds. */
async function rebuilt<T>(
  { content, layers, maker, records }: ImageRoom,
  row: LayerRow,
  signal: AbortSignal | undefined,
  work: (again: Again) => T,
): Promise<T> {
  const kept = [
    ...(row.blob === undefined ? [] : [row.blob]),
    ...records.blobsOf(row.diffId).map((b) => b.digest),
  ];
  const sources = [...new Set(kept)].filter((digest) => content.size(digest) !== undefined);
  let failure: unknown;
  for (const source of [
    ...sources.map((digest) => () => content.read(digest)),
    () => layers.tar(row, signal),
  ]) {
    try {
      return await maker.rebuild(row, { source: source(), signal }, work);
    } catch (error) {
      throwIfAborted(signal);
      failure ??= error;
    }
  }
  throw failure;
}
