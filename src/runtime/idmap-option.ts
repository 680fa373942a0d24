/** crun's `idmap=uids=0-1-10#10-11-10;gids=@0-1-10`: maps of a mount in an option (crun(1), "idmap mount options"). Pure. */
import type { OciIdMapping } from "./oci-types.ts";

export interface IdmapOption {
  readonly uids?: readonly OciIdMapping[];
  readonly gids?: readonly OciIdMapping[];
}

/**
 * Triplets of a file system's first id, a first host id and a count. Behind @ the second is an id of the container's, whose
 * own maps tell the host id; a triplet over several of their ranges becomes several.
 * @returns words about what is wrong instead, for an error
 */
export function parseIdmapOption(
  text: string,
  own: { readonly uids: readonly OciIdMapping[]; readonly gids: readonly OciIdMapping[] },
): IdmapOption | string {
  const found: { uids?: readonly OciIdMapping[]; gids?: readonly OciIdMapping[] } = {};
  for (const part of text.split(";")) {
    const [, kind, at, ranges = ""] = /^(uids|gids)=(@?)(.*)$/.exec(part) ?? [];
    if (kind !== "uids" && kind !== "gids")
      return `${JSON.stringify(part)} begins with neither uids= nor gids=`;
    if (found[kind] !== undefined) return `${kind}= stands there twice`;
    const maps: OciIdMapping[] = [];
    for (const range of ranges.split("#")) {
      const triplet = /^([0-9]+)-([0-9]+)-([1-9][0-9]*)$/.exec(range);
      if (triplet === null) return `${JSON.stringify(range)} is not a triplet such as 0-1000-10`;
      const [first = 0, second = 0, size = 0] = triplet.slice(1).map(Number);
      const absolute =
        at === "@"
          ? throughMaps({ first, second, size }, own[kind])
          : [{ containerID: first, hostID: second, size }];
      if (absolute === undefined)
        return `${JSON.stringify(range)} has ids that the container's own mappings do not have`;
      maps.push(...absolute);
    }
    found[kind] = maps;
  }
  return found;
}

function throughMaps(
  { first, second, size }: { readonly first: number; readonly second: number; readonly size: number },
  own: readonly OciIdMapping[],
): readonly OciIdMapping[] | undefined {
  const parts: OciIdMapping[] = [];
  for (let done = 0; done < size;) {
    const id = second + done;
    const range = own.find(({ containerID, size: length }) => id >= containerID && id < containerID + length);
    if (range === undefined) return undefined;
    const count = Math.min(size - done, range.containerID + range.size - id);
    parts.push({ containerID: first + done, hostID: range.hostID + (id - range.containerID), size: count });
    done += count;
  }
  return parts;
}
