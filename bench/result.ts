/** What a measure found: our figure, the peers' figures, and the limit that decides. */
import type { Summary } from "./statistics.ts";

export interface Result {
  readonly name: string;
  /** What was timed or weighed, as a command or in words. */
  readonly detail: string;
  readonly unit: "ms" | "MB" | "per s" | "×";
  readonly ours: Summary;
  readonly peers: readonly { readonly name: string; readonly figure: Summary }[];
  readonly limit: Limit;
}

export type Limit =
  /** Our median divided by the first peer's. */
  | { readonly is: "ratio"; readonly atMost: number }
  | { readonly is: "value"; readonly atMost: number }
  | { readonly is: "value"; readonly atLeast: number };

export function ratioOf(result: Result): number | undefined {
  const peer = result.peers[0];
  return peer === undefined ? undefined : result.ours.median / peer.figure.median;
}

export function holds(result: Result): boolean {
  const { limit } = result;
  if (limit.is === "ratio") return (ratioOf(result) ?? Infinity) <= limit.atMost;
  return "atMost" in limit ? result.ours.median <= limit.atMost : result.ours.median >= limit.atLeast;
}

export function limitText(limit: Limit): string {
  if (limit.is === "ratio") return `ratio ≤ ${limit.atMost}`;
  return "atMost" in limit ? `≤ ${limit.atMost}` : `≥ ${limit.atLeast}`;
}
