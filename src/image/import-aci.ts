/** App Container images (appc, as rkt had them) become OCI images of one layer. */
import * as fs from "node:fs";
import { GantryError } from "../lib/index.ts";
import { type AciImage, parseAciManifest } from "./aci-manifest.ts";
import { aciRootfs, findAciManifest } from "./aci-rootfs.ts";
import { verifySignature } from "./aci-signature.ts";
import { decompress } from "./compression.ts";
import { readFile, type SpooledFile } from "./content-store.ts";
import { createImage, nameToGive } from "./create-image.ts";
import { spendableBytes } from "./free-space.ts";
import { hostArchitecture } from "./image-config.ts";
import { tryParseReference } from "./reference.ts";
import type { ImageRoom } from "./room.ts";
import type { ImageRecord, ImportAciRequest, ImportedAci } from "./types.ts";

/** @throws {GantryError} "denied" for a signature that is not good; nothing is unpacked before it has been checked */
export async function importAci(
  room: ImageRoom,
  source: AsyncIterable<Uint8Array>,
  request: ImportAciRequest,
): Promise<ImportedAci> {
  const { signature, keys, signal } = request;
  if ((signature === undefined) !== (keys === undefined))
    throw new GantryError("invalid", "a signature needs trusted keys, and trusted keys a signature");
  const maxBytes = spendableBytes(room.sys, room.content.temporary);
  const file = await room.content.spool(source, { what: "the image", maxBytes, signal });
  try {
    const temporary = room.content.temporary;
    const fingerprint =
      signature === undefined || keys === undefined
        ? undefined
        : await verifySignature({ path: file.path, signature, keys, temporary, signal });
    const open = (): AsyncIterable<Uint8Array> => decompress(readFile(file.path), { maxBytes });
    const aci = parseAciManifest(await findAciManifest(open()), hostArchitecture());
    const image = await unpack(room, { aci, file, source: aciRootfs(open(), aci.pathWhitelist), request });
    return { image, warnings: aci.warnings, ...(fingerprint === undefined ? {} : { fingerprint }) };
  } finally {
    fs.rmSync(file.path, { force: true });
  }
}

interface Unpacking {
  readonly aci: AciImage;
  readonly file: SpooledFile;
  readonly source: AsyncIterable<Uint8Array>;
  readonly request: ImportAciRequest;
}

async function unpack(room: ImageRoom, { aci, file, source, request }: Unpacking): Promise<ImageRecord> {
  const name = nameToGive(nameOf(aci, request.reference));
  using hold = room.holds.create();
  const layer = await room.maker.unpackAsOwn({
    source,
    parent: undefined,
    diffId: undefined,
    blob: undefined,
    hold,
    signal: request.signal,
  });
  // No clock: the same file makes the same image.
  const created = aci.created ?? "1970-01-01T00:00:00Z";
  const { architecture, variant, author, config } = aci;
  const comment = `Imported from the App Container image ${aci.name} (${file.digest})`;
  return createImage(
    room,
    {
      config,
      chainId: layer.chainId,
      created,
      author,
      history: [{ created, comment }],
      architecture,
      ...(variant === undefined ? {} : { variant }),
    },
    [name],
  );
}

/** The name that was wished for, else the image's own, with its version as the tag. */
function nameOf({ name, version }: AciImage, wished: string | undefined): string {
  if (wished !== undefined && wished !== "") return wished;
  const tag = version?.replace(/[^A-Za-z0-9_.-]/g, "_").slice(0, 128);
  const own = tag === undefined || /^[.-]/.test(tag) || tag === "" ? name : `${name}:${tag}`;
  if (tryParseReference(own) !== undefined) return own;
  throw new GantryError("invalid", `the image's own name ${JSON.stringify(own)} is no name of a repository`, {
    hint: "give it one: gantry import --aci FILE NAME",
  });
}
