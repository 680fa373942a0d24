/** Token buckets: `100/s`, `600/m`, `5000/h` a client, with a burst of as much as the rate gives at once. Bounded. */
import { GantryError } from "../../lib/index.ts";

export interface Rate {
  /** How many at once, and how many the period gives back. */
  readonly count: number;
  readonly periodMs: number;
}

const periods: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3600_000, d: 86_400_000 };
const maxBuckets = 50_000;

/** `100/s`; empty or `0`: no limit. @throws {GantryError} "invalid" */
export function parseRate(text: string): Rate | undefined {
  if (text === "" || text === "0") return undefined;
  const match = /^([1-9][0-9]{0,8})\/(s|m|h|d)$/.exec(text);
  const periodMs = periods[match?.[2] ?? ""];
  if (match === null || periodMs === undefined)
    throw new GantryError("invalid", `${JSON.stringify(text)} is no rate`, {
      hint: "a count and a period: 20/s, 600/m, 10000/h, 0 for no limit",
    });
  return { count: Number(match[1]), periodMs };
}

interface Bucket {
  left: number;
  atMs: number;
}

export interface Taken {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Until the next is allowed. */
  readonly waitMs: number;
}

export class TokenBuckets {
  readonly rate: Rate;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate, now: () => number = Date.now) {
    this.rate = rate;
    this.#now = now;
  }

  take(key: string): Taken {
    const { count, periodMs } = this.rate;
    const now = this.#now();
    const known = this.#buckets.get(key);
    const left =
      known === undefined ? count : Math.min(count, known.left + ((now - known.atMs) / periodMs) * count);
    const allowed = left >= 1;
    const after = allowed ? left - 1 : left;
    this.#buckets.delete(key);
    // The one unused for longest goes: it is the fullest.
    if (this.#buckets.size >= maxBuckets) {
      const oldest = this.#buckets.keys().next();
      if (oldest.done !== true) this.#buckets.delete(oldest.value);
    }
    this.#buckets.set(key, { left: after, atMs: now });
    return {
      allowed,
      remaining: Math.floor(after),
      waitMs: allowed ? 0 : Math.ceil(((1 - left) / count) * periodMs),
    };
  }
}
