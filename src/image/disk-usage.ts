/**
 * What the room has on disk, counted as `du` counts: allocated blocks, each inode once. Allocated and not apparent sizes,
 * because they are what comes back when something is removed. Records are in the engine's database and not counted here.
 */
import { promises as fs } from "node:fs";
import { join } from "node:path";
import { type Digest, isErrno } from "../lib/index.ts";
import type { ImageRoom } from "./room.ts";
import type { DiskUsage, ImageUsage } from "./transfer-types.ts";
import type { ImageRecord } from "./types.ts";

const blockBytes = 512;

/** Of a tree, the directory itself included. Nothing is followed, nothing is entered that is mounted there. */
export async function allocatedBytes(path: string): Promise<number> {
  const seen = new Set<string>();
  let device: number | undefined;
  const count = async (at: string): Promise<number> => {
    try {
      const stat = await fs.lstat(at);
      device ??= stat.dev;
      if (stat.dev !== device) return 0;
      const key = `${stat.ino}`;
      if (stat.nlink > 1 && !stat.isDirectory() && seen.has(key)) return 0;
      seen.add(key);
      let bytes = stat.blocks * blockBytes;
      if (stat.isDirectory()) for (const name of await fs.readdir(at)) bytes += await count(`${at}/${name}`);
      return bytes;
    } catch (error) {
      // ENOENT: it was removed meanwhile.
      if (isErrno(error, "ENOENT")) return 0;
      throw error;
    }
  };
  return count(path);
}

export async function measureDisk(room: ImageRoom): Promise<DiskUsage> {
  const { root } = room;
  const layers = await sizesIn(join(root, "layers"), (name) => `sha256:${name}`);
  const blobs = new Map<string, number>();
  let overhead = await ownBytes(join(root, "blobs"));
  for (const algorithm of ["sha256", "sha512"]) {
    const dir = join(root, "blobs", algorithm);
    overhead += await ownBytes(dir);
    for (const [digest, bytes] of await sizesIn(dir, (name) => `${algorithm}:${name}`))
      blobs.set(digest, bytes);
  }
  overhead += await ownBytes(join(root, "layers"));
  for (const name of ["scratch", "lowers"]) overhead += await allocatedBytes(join(root, name));
  const temporary = await allocatedBytes(join(root, "ingest"));
  const [layerBytes, blobBytes] = [sum(layers.values()), sum(blobs.values())];
  return {
    images: imagesUsage(room, layers, blobs),
    layerBytes,
    blobBytes,
    temporaryBytes: temporary,
    overheadBytes: overhead,
    totalBytes: layerBytes + blobBytes + temporary + overhead,
  };
}

async function sizesIn(dir: string, keyOf: (name: string) => string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const name of await fs.readdir(dir)) sizes.set(keyOf(name), await allocatedBytes(join(dir, name)));
  return sizes;
}

async function ownBytes(path: string): Promise<number> {
  return (await fs.lstat(path)).blocks * blockBytes;
}

/** What each image needs: its layers by chain id, and the archives of these. */
function imagesUsage(
  room: ImageRoom,
  layers: ReadonlyMap<string, number>,
  blobs: ReadonlyMap<string, number>,
): readonly ImageUsage[] {
  const needs = room.catalog.list().map((image) => ({ id: image.id, parts: partsOf(room, image) }));
  const users = new Map<string, number>();
  for (const { parts } of needs) for (const part of parts) users.set(part, (users.get(part) ?? 0) + 1);
  const sizeOf = (part: string): number =>
    (part.startsWith("layer ") ? layers : blobs).get(part.slice(6)) ?? 0;
  return needs.map(({ id, parts }) => ({
    id,
    bytes: sum([...parts].map(sizeOf)),
    sharedBytes: sum([...parts].filter((part) => (users.get(part) ?? 0) > 1).map(sizeOf)),
  }));
}

function partsOf({ layers, records }: ImageRoom, image: ImageRecord): ReadonlySet<string> {
  const parts = new Set<string>();
  const addBlob = (digest: Digest): void => void parts.add(`blob: ${digest}`);
  for (const { chainId, diffId, blob } of layers.chain(image.chainId)) {
    parts.add(`layer ${chainId}`);
    if (blob !== undefined) addBlob(blob);
    for (const { digest } of records.blobsOf(diffId)) addBlob(digest);
  }
  return parts;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
