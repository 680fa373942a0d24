/** Making image records. */
import { GantryError, sha256 } from "../lib/index.ts";
import { formatImageConfig, hostArchitecture } from "./image-config.ts";
import { canonicalName, parseReference, withDefaultTag } from "./reference.ts";
import type { ImageRoom } from "./room.ts";
import type { CreateImageRequest, ImageConfig, ImageRecord, ImportRequest } from "./types.ts";

/** Writes the config and records the image; the same request makes the same image. */
export function createImage(
  room: ImageRoom,
  request: CreateImageRequest,
  names: readonly string[] = [],
): ImageRecord {
  const { config, chainId, history, created, author, architecture, variant, parent } = request;
  const layers = room.layers.chain(chainId);
  const document: ImageConfig = {
    architecture: architecture ?? hostArchitecture(),
    os: "linux",
    ...(variant === undefined ? {} : { variant }),
    ...(created === undefined ? {} : { created }),
    ...(author === undefined ? {} : { author }),
    config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId).reverse() },
    history,
  };
  const bytes = formatImageConfig(document);
  return room.catalog.put({ id: sha256(bytes), config: bytes, chainId, parent }, names);
}

/** The stored form of a name that is to be given. @throws {GantryError} "invalid" for a name with a digest */
export function nameToGive(reference: string): string {
  const parsed = parseReference(reference);
  if (parsed.digest !== undefined)
    throw new GantryError("invalid", "refusing to create a tag with a digest reference");
  return canonicalName(withDefaultTag(parsed));
}

/** `docker import`: a root file system becomes an image of one layer. */
export async function importTar(
  room: ImageRoom,
  source: AsyncIterable<Uint8Array>,
  request: ImportRequest,
): Promise<ImageRecord> {
  const names =
    request.reference === undefined || request.reference === "" ? [] : [nameToGive(request.reference)];
  using hold = room.holds.create();
  const layer = await room.maker.unpackAsOwn({
    source,
    parent: undefined,
    diffId: undefined,
    blob: undefined,
    hold,
    signal: request.signal,
  });
  const created = request.created ?? new Date().toISOString();
  const { architecture } = request;
  return createImage(
    room,
    {
      config: request.config ?? {},
      chainId: layer.chainId,
      created,
      history: [{ created, comment: request.message ?? "Imported from -" }],
      ...(architecture === undefined ? {} : { architecture }),
    },
    names,
  );
}
