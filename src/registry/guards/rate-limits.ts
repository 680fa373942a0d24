/** So many requests a client and period: reading, writing and tokens each have a limit of their own. */
import { network } from "../access/throttle.ts";
import { RegistryError } from "../errors.ts";
import type { Guard, RequestContext } from "../types.ts";
import { type Rate, TokenBuckets } from "./token-bucket.ts";

export interface RateLimits {
  readonly pull: Rate | undefined;
  readonly push: Rate | undefined;
  readonly login: Rate | undefined;
}

const bucketsOf = (rate: Rate | undefined, now: () => number): TokenBuckets | undefined =>
  rate === undefined ? undefined : new TokenBuckets(rate, now);

export class RateLimitGuard implements Guard {
  readonly #now: () => number;
  #pull: TokenBuckets | undefined;
  #push: TokenBuckets | undefined;
  #login: TokenBuckets | undefined;

  constructor(limits: RateLimits, now: () => number = Date.now) {
    this.#now = now;
    this.set(limits);
  }

  /** Other limits from now on; everybody begins anew. */
  set({ pull, push, login }: RateLimits): void {
    this.#pull = bucketsOf(pull, this.#now);
    this.#push = bucketsOf(push, this.#now);
    this.#login = bucketsOf(login, this.#now);
  }

  request({ request, identity, remote }: RequestContext): void {
    const reads = request.method === "GET" || request.method === "HEAD";
    take(reads ? this.#pull : this.#push, identity.name ?? network(remote));
  }

  /** Of /token, by address: nobody is known yet. */
  login(remote: string): void {
    take(this.#login, network(remote));
  }
}

/** @throws {RegistryError} "TOOMANYREQUESTS" */
function take(buckets: TokenBuckets | undefined, key: string): void {
  if (buckets === undefined) return;
  const { allowed, remaining, waitMs } = buckets.take(key);
  if (allowed) return;
  const { count, periodMs } = buckets.rate;
  const seconds = String(Math.max(1, Math.ceil(waitMs / 1000)));
  throw new RegistryError(
    "TOOMANYREQUESTS",
    `more than ${count} requests in ${periodMs / 1000} s; try again in ${seconds} s`,
    {
      headers: {
        "Retry-After": seconds,
        "RateLimit-Limit": String(count),
        "RateLimit-Remaining": String(remaining),
        "RateLimit-Reset": seconds,
      },
    },
  );
}
