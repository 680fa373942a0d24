/** `docker history` of an image. */
import type { Digest } from "../lib/index.ts";
import type { LayerRow } from "./records.ts";
import type { HistoryRow, ImageRecord } from "./types.ts";

/**
 * @param layers of the image, top first
 * @param ancestors the images it was built upon here, nearest first
 */
export function historyOf(
  image: ImageRecord,
  layers: readonly LayerRow[],
  ancestors: readonly ImageRecord[],
): readonly HistoryRow[] {
  const bottomUp = [...layers].reverse();
  const ids = new Map<number, { readonly id: Digest; readonly tags: readonly string[] }>();
  for (const known of [...ancestors].reverse()) {
    // An ancestor is known by how much of the history it has.
    if (known.config.history.length > 0)
      ids.set(known.config.history.length - 1, { id: known.id, tags: known.repoTags });
  }
  ids.set(image.config.history.length - 1, { id: image.id, tags: image.repoTags });
  let next = 0;
  const rows = image.config.history.map((entry, i): HistoryRow => {
    const layer = entry.empty_layer === true ? undefined : bottomUp[next++];
    const created = Date.parse(entry.created ?? "");
    return {
      id: ids.get(i)?.id ?? "<missing>",
      createdAtMs: Number.isFinite(created) ? created : 0,
      createdBy: entry.created_by ?? "",
      tags: ids.get(i)?.tags ?? [],
      size: layer?.size ?? 0,
      comment: entry.comment ?? "",
    };
  });
  return rows.reverse();
}
