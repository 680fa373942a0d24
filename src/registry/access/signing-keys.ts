/**
 * The keys that sign tokens, in the database, so that all instances have the same ones. The newest signs; one before it verifies
 * until the last token that it can have signed is over.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
} from "node:crypto";
import { GantryError } from "../../lib/index.ts";
import { Cached } from "../cached.ts";
import type { Sql, SqlRow } from "../sql.ts";

export const tokenSeconds = 300;
/** How soon every instance signs with a new key. */
const cacheMs = 10_000;
/** Between clocks of instances. */
const skewMs = 60_000;

export interface SigningKey {
  /** Short digest of its public half. */
  readonly id: string;
  /** First part of the tokens it signs, byte for byte. */
  readonly header: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly createdMs: number;
  /** Verifies nothing from then on; undefined: it is the newest. */
  readonly endsMs: number | undefined;
}

export class SigningKeys {
  readonly #now: () => number;
  readonly #cached: Cached<readonly SigningKey[]>;

  private constructor(sql: Sql, now: () => number) {
    this.#now = now;
    this.#cached = new Cached(cacheMs, () => listSigningKeys(sql), now);
  }

  /** Makes the first key where there is none. */
  static async open(sql: Sql, now: () => number = Date.now): Promise<SigningKeys> {
    // All instances would make their first under this name: one wins.
    const id = (await sql.query("SELECT id FROM signing_key LIMIT 1")).length === 0 ? "token" : undefined;
    if (id !== undefined) await insertKey(sql, id, now());
    return new SigningKeys(sql, now);
  }

  /** Newest first, as of the last ten seconds, without those that are over. The same array while nothing has changed hands. */
  async all(): Promise<readonly SigningKey[]> {
    return this.#cached.get();
  }

  async newest(): Promise<SigningKey> {
    const [newest] = await this.all();
    if (newest === undefined) throw new GantryError("corrupt", "the registry's signing key has gone");
    return newest;
  }

  /** @param header of a token; a key that another instance has just begun to sign with is found, too */
  async find(header: string): Promise<SigningKey | undefined> {
    const known = (await this.all()).find((key) => key.header === header);
    if (known !== undefined) return this.#isOver(known) ? undefined : known;
    // Any other token may be one that somebody has made up: no reason to ask the database for each.
    if (!isOurs(header) || !this.#mayLookAgain()) return undefined;
    this.#cached.forget();
    return (await this.all()).find((key) => key.header === header);
  }

  #lookedMs = Number.NEGATIVE_INFINITY;

  #mayLookAgain(): boolean {
    if (this.#now() - this.#lookedMs < 1000) return false;
    this.#lookedMs = this.#now();
    return true;
  }

  #isOver({ endsMs }: SigningKey): boolean {
    return endsMs !== undefined && this.#now() >= endsMs;
  }
}

/** Newest first. */
export async function listSigningKeys(sql: Sql): Promise<readonly SigningKey[]> {
  const rows = await sql.query("SELECT pkcs8, created_ms FROM signing_key ORDER BY created_ms DESC, id");
  return rows.map((row, i) => keyOf(row, rows[i - 1]));
}

/** A new key signs from now on. @param revoke the old ones, and all tokens that they have signed, end at once @returns its id */
export async function rotateSigningKey(sql: Sql, revoke: boolean, nowMs: number): Promise<string> {
  return sql.transaction(async (tx) => {
    const old = revoke ? [] : await listSigningKeys(tx);
    const [newest] = old;
    // Later than the one before, whatever this machine's clock says.
    const createdMs = Math.max(nowMs, (newest?.createdMs ?? 0) + 1);
    const kept = old.filter(({ endsMs }) => endsMs === undefined || nowMs < endsMs);
    await tx.query("DELETE FROM signing_key WHERE created_ms < $1", kept.at(-1)?.createdMs ?? createdMs);
    if (revoke) await tx.query("DELETE FROM signing_key");
    await insertKey(tx, `token-${randomUUID()}`, createdMs);
    const [made] = await listSigningKeys(tx);
    return made?.id ?? "";
  });
}

async function insertKey(sql: Sql, id: string, nowMs: number): Promise<void> {
  const pkcs8 = generateKeyPairSync("ed25519").privateKey.export({ format: "der", type: "pkcs8" });
  await sql.query(
    "INSERT INTO signing_key VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
    id,
    pkcs8.toString("base64"),
    nowMs,
  );
}

/** @param next the key that came after */
function keyOf(row: SqlRow, next: SqlRow | undefined): SigningKey {
  const key = Buffer.from(String(row["pkcs8"]), "base64");
  const privateKey = createPrivateKey({ key, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(privateKey);
  const der = publicKey.export({ format: "der", type: "spki" });
  const id = createHash("sha256").update(der).digest("base64url").slice(0, 16);
  return {
    id,
    header: headerOf(id),
    privateKey,
    publicKey,
    createdMs: Number(row["created_ms"]),
    endsMs:
      next === undefined ? undefined : Number(next["created_ms"]) + cacheMs + tokenSeconds * 1000 + skewMs,
  };
}

const headerOf = (kid: string): string =>
  Buffer.from(JSON.stringify({ alg: "EdDSA", typ: "JWT", kid })).toString("base64url");

const headerLength = headerOf("0123456789abcdef").length;

/** Could be a header of ours. */
const isOurs = (header: string): boolean => header.length === headerLength;
