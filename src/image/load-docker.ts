/** The docker-archive format, v1.2: manifest.json names configs, layer files and tags. */
import { GantryError } from "../lib/index.ts";
import { Fields } from "./image-config.ts";
import type { ArchivedImage } from "./load.ts";
import type { ArchivedFile, Spool } from "./spool.ts";

const maxImages = 1000;

/** @throws {GantryError} "corrupt" */
export function readDockerArchive(spool: Spool, manifest: ArchivedFile): readonly ArchivedImage[] {
  const items = spool.json(manifest, "manifest.json");
  if (!Array.isArray(items) || items.length > maxImages) {
    throw new GantryError(
      "corrupt",
      `manifest.json of the archive is not a list of at most ${maxImages} images`,
    );
  }
  return items.map((item: unknown) => {
    const fields = new Fields(item, "an item of manifest.json");
    const config = fields.text("Config");
    if (config === undefined) throw new GantryError("corrupt", "an item of manifest.json has no Config");
    return {
      config: spool.bytes(spool.get(config), config),
      layers: (fields.texts("Layers") ?? []).map((path) => spool.get(path)),
      names: fields.texts("RepoTags") ?? [],
      manifests: [],
    };
  });
}
