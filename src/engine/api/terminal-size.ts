/** The query of the resize calls. Pure. */
import { GantryError } from "../../lib/index.ts";
import { numberOf } from "./query.ts";

/** @throws {GantryError} "invalid" */
export function terminalSizeOf(query: URLSearchParams): { readonly rows: number; readonly cols: number } {
  const rows = numberOf(query, "h") ?? 0;
  const cols = numberOf(query, "w") ?? 0;
  for (const [name, side] of [
    ["height", rows],
    ["width", cols],
  ] as const) {
    if (side < 0 || side > 0xffff) throw new GantryError("invalid", `invalid resize ${name} "${side}"`);
  }
  return { rows, cols };
}
