/** Every wait has an end. */
import type { GantryError } from "../lib/index.ts";

/** `promise`, or a rejection with `late()` after `ms`; the timer does not outlive the promise. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, late: () => GantryError): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), ms);
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}
