/** Id maps of user namespaces and mounts (runtime-spec config-linux.md, "User namespace mappings"). Pure. */
import type { OciIdMapping } from "./oci-types.ts";

/** As uid_map takes it: a line each, "inside outside count". */
export function mapText(maps: readonly OciIdMapping[]): string {
  return maps.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
}

/** Outside id of an inside one; undefined when it is not mapped. */
export function outsideId(maps: readonly OciIdMapping[], id: number): number | undefined {
  for (const { containerID, hostID, size } of maps)
    if (id >= containerID && id < containerID + size) return hostID + (id - containerID);
  return undefined;
}

/** Who sets the namespace up: 0 where it is mapped, else the wanted id, else the first one there is. */
export function rootId(maps: readonly OciIdMapping[], wanted: number): number {
  if (maps.length === 0 || outsideId(maps, 0) !== undefined) return 0;
  return outsideId(maps, wanted) === undefined ? (maps[0]?.containerID ?? 0) : wanted;
}

/** What a process may map without any right: its own id, alone. */
export function isOwnIdOnly(maps: readonly OciIdMapping[], own: number): boolean {
  const [only] = maps;
  return maps.length === 1 && only !== undefined && only.size === 1 && only.hostID === own;
}
