/** Signal names and numbers, as `docker kill -s` and STOPSIGNAL take them. Pure. */
import { constants } from "node:os";
import { GantryError } from "../lib/index.ts";

const rtMin = 34;
const rtMax = 64;

/**
 * "TERM", "SIGTERM", "15", "SIGRTMIN+3" … to a number.
 * @throws {GantryError} "invalid", worded as Docker
 */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  if (/^\d+$/.test(name)) {
    const number = Number(name);
    if (number >= 1 && number <= rtMax) return number;
  }
  const known = Object.entries(constants.signals).find(([key]) => key === `SIG${name}`);
  if (known !== undefined) return known[1];
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realtime !== null) {
    const offset = Number(realtime[3] ?? 0) * (realtime[2] === "-" ? -1 : 1);
    const number = (realtime[1] === "MIN" ? rtMin : rtMax) + offset;
    if (number >= rtMin && number <= rtMax) return number;
  }
  throw new GantryError("invalid", `invalid signal: ${text}`);
}
