/** An empty volume gets what the image has at its target, owner and mode included, as Docker does it. Whole or not at all. */
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isErrno, newId, toGantryError } from "../../lib/index.ts";
import type { Volume } from "../../volume/index.ts";
import type { EngineContext } from "../context.ts";
import type { ContainerImage } from "./image-of.ts";
import { shiftOwners } from "./user-namespace.ts";
import type { IdMaps } from "../users/id-maps.ts";
import { LayerFiles } from "../users/layer-files.ts";

const leftover = "fill-";

/** Copies beside the volume and renames: a crash leaves an empty volume, which the next start fills. */
export async function fillVolume(
  { sys, trees }: EngineContext,
  image: ContainerImage,
  volume: Volume,
  target: string,
  maps?: IdMaps,
): Promise<void> {
  const sources = new LayerFiles(sys, image.lowers).directories(target);
  const top = sources[0];
  if (top === undefined) return;
  const parent = dirname(volume.path);
  await removeLeftovers(parent);
  const copy = join(parent, `${leftover}${newId().slice(0, 16)}`);
  try {
    mkdirSync(copy);
    if (sources.some((dir) => readdirSync(dir).length > 0)) {
      const items = [{ path: target, as: ".", contentsOnly: true }];
      await trees.unpack({ dir: copy }, "/", trees.pack({ lowers: image.lowers }, { items }), {});
    }
    const { uid, gid, mode } = lstatSync(top);
    chownSync(copy, uid, gid);
    chmodSync(copy, mode & 0o7777);
    if (maps !== undefined) shiftOwners(copy, maps);
    renameSync(copy, volume.path);
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    // Another container that starts at the same time was first.
    if (isErrno(error, "ENOTEMPTY", "EEXIST")) return;
    throw toGantryError(error, `fill volume ${volume.name} with the image's ${target}`);
  }
}

/** Of a crash. Two starts that fill one volume at the same time: one of them fails and says so. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of readdirSync(parent)) {
    if (name.startsWith(leftover)) await rm(join(parent, name), { recursive: true, force: true });
  }
}
