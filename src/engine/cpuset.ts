/** Lists of processors and memory nodes, `0-3,7`. Pure. */
import { GantryError } from "../lib/index.ts";

/** More than any machine has. */
const most = 1 << 16;

/** @throws {GantryError} "invalid" when a range ends before it begins or is beyond all machines */
export function parseCpuset(text: string): ReadonlySet<number> {
  const found = new Set<number>();
  for (const range of text.trim().split(",")) {
    if (range === "") continue;
    const [first = NaN, last = first] = range.split("-").map(Number);
    if (!(first <= last && last < most)) throw new GantryError("invalid", `invalid range: ${range}`);
    for (let n = first; n <= last; n++) found.add(n);
  }
  return found;
}

/** @throws {GantryError} "invalid", worded as dockerd does, for one that this machine has not */
export function checkAvailable(requested: string, available: string, what: "CPUs" | "memory nodes"): void {
  if (requested === "" || available === "") return;
  const there = parseCpuset(available);
  for (const one of parseCpuset(requested))
    if (!there.has(one))
      throw new GantryError(
        "invalid",
        `Requested ${what} are not available - requested ${requested}, available: ${available.trim()}`,
      );
}
