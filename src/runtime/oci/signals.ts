/** Signal names as runc takes them. Pure. */
import { constants } from "node:os";
import { GantryError } from "../../lib/index.ts";

/** `9`, `KILL`, `SIGKILL`, `sigkill` → 9. @throws {GantryError} "invalid" */
export function parseSignal(word: string): number {
  if (/^[0-9]+$/.test(word)) {
    const number = Number(word);
    if (number <= 64) return number;
  }
  const upper = word.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const number = Object.entries(constants.signals).find(([known]) => known === name)?.[1];
  if (number === undefined) throw new GantryError("invalid", `unknown signal ${JSON.stringify(word)}`);
  return number;
}
