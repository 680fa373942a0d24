/** Verification of secrets: argon2id for what people choose, a plain hash for a robot's long random secret. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { RegistryError } from "../errors.ts";

/** OWASP's recommendation for argon2id: 19 MiB, two passes. */
const argon2 = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

/** As many at once as leave processors for the rest; the queue is as long as a patient client waits. */
const atOnce = 2;
const maxWaiting = 64;

const cacheMs = 60_000;
const cacheEntries = 2048;

/** The longest password that is looked at: argon2 would hash a gigabyte, too. */
export const maxSecretChars = 1024;

export const hashPassword = (password: string): Promise<string> => Bun.password.hash(password, argon2);

/** A robot's secret, shown once. Its prefix lets scanners find it where it should not be. */
export function newRobotSecret(): { readonly secret: string; readonly stored: string } {
  const secret = `gantry_${randomBytes(32).toString("base64url")}`;
  return { secret, stored: hashSecret(secret) };
}

/** For random secrets only: 256 bits need no slow hash. */
export function hashSecret(secret: string): string {
  return `sha256:${createHash("sha256").update(secret).digest("hex")}`;
}

const hash = (text: string): Uint8Array => createHash("sha256").update(text).digest();

/** True when both texts are equal; takes the same time wherever they differ. */
export function sameText(a: string, b: string): boolean {
  return timingSafeEqual(hash(a), hash(b));
}

export class PasswordCheck {
  readonly #now: () => number;
  /** What was right a moment ago, by a hash that only this process can make. */
  readonly #known = new Map<string, number>();
  readonly #key = randomBytes(32);
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #dummy: Promise<string> | undefined;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** True without any work when just this was found right a moment ago. */
  knows(stored: string, password: string): boolean {
    const until = this.#known.get(this.#keyOf(stored, password));
    return until !== undefined && this.#now() < until;
  }

  /**
   * @param stored undefined: there is no such account; takes as long as if there were one
   * @throws {RegistryError} "UNAVAILABLE" when too many wait already
   */
  async verify(stored: string | undefined, password: string): Promise<boolean> {
    // A robot's wrong secret goes the slow way, too: its name is nobody's business either.
    if (stored?.startsWith("sha256:") === true)
      return sameText(hashSecret(password), stored) || this.verify(undefined, password);
    if (password.length > maxSecretChars) return false;
    this.#dummy ??= hashPassword(randomBytes(16).toString("hex"));
    const against = stored ?? (await this.#dummy);
    const right = (await this.#queued(() => Bun.password.verify(password, against))) && stored !== undefined;
    if (right) this.#remember(this.#keyOf(against, password));
    return right;
  }

  #keyOf(stored: string, password: string): string {
    return createHmac("sha256", this.#key).update(`${stored}\n${password}`).digest("base64");
  }

  #remember(key: string): void {
    if (this.#known.size >= cacheEntries) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    this.#known.set(key, this.#now() + cacheMs);
  }

  async #queued<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= atOnce) {
      if (this.#waiting.length >= maxWaiting) {
        throw new RegistryError("UNAVAILABLE", "too many logins at once; try again in a moment", {
          headers: { "Retry-After": "2" },
        });
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
