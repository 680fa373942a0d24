/** Slows guessing of passwords down: failures are counted by name and address, and by address alone. In memory, bounded. */
import { RegistryError } from "../errors.ts";

const maxEntries = 20_000;
/** Failures that cost nothing: typing errors, old passwords in scripts. */
const freeByPair = 8;
const freeByAddress = 60;
const firstWaitMs = 1000;
const longestWaitMs = 5 * 60_000;
/** Failures are forgotten after this long without one. */
const forgetMs = 30 * 60_000;

interface Failures {
  count: number;
  lastMs: number;
}

export class LoginThrottle {
  readonly #now: () => number;
  readonly #failures = new Map<string, Failures>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** @throws {RegistryError} "TOOMANYREQUESTS" with Retry-After while this name from this address has to wait */
  check(name: string, address: string): void {
    const waitMs = Math.max(
      this.#waitOf(pairKey(name, address), freeByPair),
      this.#waitOf(network(address), freeByAddress),
    );
    if (waitMs <= 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new RegistryError("TOOMANYREQUESTS", `too many failed logins; try again in ${seconds} s`, {
      headers: { "Retry-After": String(seconds) },
    });
  }

  failed(name: string, address: string): void {
    for (const key of [pairKey(name, address), network(address)]) {
      const known = this.#failures.get(key);
      const stale = known === undefined || this.#now() - known.lastMs > forgetMs;
      this.#failures.delete(key);
      if (this.#failures.size >= maxEntries) this.#evict();
      this.#failures.set(key, { count: (stale ? 0 : known.count) + 1, lastMs: this.#now() });
    }
  }

  succeeded(name: string, address: string): void {
    this.#failures.delete(pairKey(name, address));
  }

  #waitOf(key: string, free: number): number {
    const known = this.#failures.get(key);
    if (known === undefined || known.count < free) return 0;
    const waitMs = Math.min(firstWaitMs * 2 ** Math.min(known.count - free, 20), longestWaitMs);
    return known.lastMs + waitMs - this.#now();
  }

  /** The oldest goes: a map keeps the order in which its entries were last set. */
  #evict(): void {
    const oldest = this.#failures.keys().next();
    if (oldest.done !== true) this.#failures.delete(oldest.value);
  }
}

const pairKey = (name: string, address: string): string => `${name.slice(0, 128)}\n${network(address)}`;

/** One household of IPv6 is a /64: the addresses in it are free to choose from. */
export function network(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = address.toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
