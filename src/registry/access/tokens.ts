/**
 * Bearer tokens: JWT signed with Ed25519 (RFC 8037). Only this registry reads them, so there is nothing to negotiate: a token
 * counts when its first part is, byte for byte, a header that we write ourselves. Other algorithms, `none`, foreign `kid`, `jku` or
 * `jwk` do not have that header.
 */
import { createHash, randomUUID, sign, verify } from "node:crypto";
import type { Sql } from "../sql.ts";
import type { Scope } from "../types.ts";
import { parseScope, printScope } from "./scope.ts";
import { type SigningKey, SigningKeys, tokenSeconds } from "./signing-keys.ts";

const issuer = "gantry-registry";
/** Longer than the longest token that we make. */
const maxTokenChars = 32_768;
const cacheEntries = 4096;

export interface TokenClaims {
  /** Empty: nobody has logged in. */
  readonly subject: string;
  /** The account's epoch when the token was made. */
  readonly epoch: number;
  readonly access: readonly Scope[];
  readonly expiresMs: number;
}

export class Tokens {
  readonly #keys: SigningKeys;
  readonly #audience: string;
  readonly #now: () => number;
  readonly #verified = new Map<string, TokenClaims>();
  /** The keys by which they were verified. */
  #verifiedBy: readonly SigningKey[] = [];

  private constructor(keys: SigningKeys, audience: string, now: () => number) {
    this.#keys = keys;
    this.#audience = audience;
    this.#now = now;
  }

  /** Takes the keys that all instances share from the database, or makes the first. */
  static async open(sql: Sql, audience: string, now: () => number = Date.now): Promise<Tokens> {
    return new Tokens(await SigningKeys.open(sql, now), audience, now);
  }

  async issue(subject: string, epoch: number, access: readonly Scope[]): Promise<string> {
    const key = await this.#keys.newest();
    const seconds = Math.floor(this.#now() / 1000);
    const body = encode({
      iss: issuer,
      sub: subject,
      aud: this.#audience,
      iat: seconds,
      nbf: seconds,
      exp: seconds + tokenSeconds,
      jti: randomUUID(),
      epoch,
      access,
    });
    const signed = `${key.header}.${body}`;
    return `${signed}.${sign(null, Buffer.from(signed), key.privateKey).toString("base64url")}`;
  }

  /** What a token says; undefined when it is not ours, not for us, not yet or no longer good. */
  async verify(token: string): Promise<TokenClaims | undefined> {
    if (token.length > maxTokenChars) return undefined;
    await this.#forgetRevoked();
    const id = createHash("sha256").update(token).digest("base64");
    const known = this.#verified.get(id);
    if (known !== undefined) return this.#now() < known.expiresMs ? known : undefined;
    const claims = await this.#read(token);
    if (claims === undefined) return undefined;
    if (this.#verified.size >= cacheEntries) this.#verified.clear();
    this.#verified.set(id, claims);
    return claims;
  }

  /** A key that has gone takes what was verified by it along. */
  async #forgetRevoked(): Promise<void> {
    const keys = await this.#keys.all();
    if (keys === this.#verifiedBy) return;
    if (this.#verifiedBy.some(({ id }) => !keys.some((key) => key.id === id))) this.#verified.clear();
    this.#verifiedBy = keys;
  }

  async #read(token: string): Promise<TokenClaims | undefined> {
    const [header = "", body, signature, ...more] = token.split(".");
    if (body === undefined || signature === undefined || more.length > 0) return undefined;
    const key = await this.#keys.find(header);
    if (key === undefined) return undefined;
    const bytes = Buffer.from(signature, "base64url");
    // One text a token: base64url may be written in several ways.
    if (bytes.toString("base64url") !== signature) return undefined;
    if (!verify(null, Buffer.from(`${header}.${body}`), key.publicKey, bytes)) return undefined;
    return this.#claimsOf(Buffer.from(body, "base64url").toString("utf8"));
  }

  #claimsOf(text: string): TokenClaims | undefined {
    const claims: unknown = JSON.parse(text);
    if (!isRecord(claims)) return undefined;
    const { iss, aud, sub, exp, nbf, epoch, access } = claims;
    const seconds = this.#now() / 1000;
    if (iss !== issuer || aud !== this.#audience || typeof sub !== "string") return undefined;
    if (typeof exp !== "number" || typeof nbf !== "number" || typeof epoch !== "number") return undefined;
    // A second of grace: instances of one registry have clocks of their own.
    if (seconds >= exp || seconds < nbf - 1 || !Array.isArray(access)) return undefined;
    return { subject: sub, epoch, access: access.flatMap(scopeOf), expiresMs: exp * 1000 };
  }
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Read back through the grammar of scopes: a claim is never wider than what can be asked for. */
function scopeOf(value: unknown): readonly Scope[] {
  if (!isRecord(value) || !Array.isArray(value["actions"])) return [];
  const text = `${String(value["type"])}:${String(value["name"])}:${value["actions"].join(",")}`;
  const scope = parseScope(text);
  return scope === undefined || printScope(scope) !== text ? [] : [scope];
}
