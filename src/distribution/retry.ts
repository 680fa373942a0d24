/** When a request is worth another try, and how long to wait before it. Pure. */

export interface RetryPolicy {
  /** Tries in all. */
  readonly tries: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** A registry that asks for more patience than this is told to the user instead. */
  readonly maxRetryAfterMs: number;
}

export const usualRetries: RetryPolicy = {
  tries: 5,
  firstDelayMs: 400,
  maxDelayMs: 10_000,
  maxRetryAfterMs: 60_000,
};

const passing: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** Statuses that may be another one in a moment. */
export function isPassing(status: number): boolean {
  return passing.has(status);
}

/**
 * Milliseconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date).
 * @returns undefined when there is none or it is nonsense
 */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse sees dates in anything.
  const date = /^[A-Z][a-z]{2,8}, \d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/**
 * The wait before try number `tried + 1`; undefined: give up.
 * @param random from 0 to 1: clients that failed together must not come back together
 */
export function delayBefore(
  policy: RetryPolicy,
  tried: number,
  retryAfter: number | undefined,
  random: number,
): number | undefined {
  if (tried >= policy.tries) return undefined;
  if (retryAfter !== undefined && retryAfter > policy.maxRetryAfterMs) return undefined;
  const step = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (tried - 1)) * (0.5 + random / 2);
  // Who says "at once" again and again is not believed; who names a time is spared a crowd at that very moment.
  return retryAfter === undefined ? step : Math.max(step, retryAfter + policy.firstDelayMs * random);
}
