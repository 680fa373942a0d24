/**
 * The rooms of the house and who may import whom, as data. `architecture.test.ts` reads every import below `src/` and
 * fails on a breach; ARCHITECTURE.md prints the same table.
 */

/** The folders below `src/`, from the foundations up: a room imports only from the rooms before it in this list. */
export const rooms = [
  "lib",
  "kernel",
  "runtime",
  "image",
  "distribution",
  "network",
  "volume",
  "build",
  "engine",
  "registry",
  "cli",
] as const;

export type Room = (typeof rooms)[number];

/** The rooms that `room` may import from, always through their `index.ts`. */
export function allowedImports(room: Room): readonly Room[] {
  return rooms.slice(0, rooms.indexOf(room));
}
