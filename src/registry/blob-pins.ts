/**
 * Keeps apart who brings a blob and who removes it. Bytes and records cannot change in one step: a blob that has just been
 * stored has no record yet, and one whose record is gone still has its bytes. So whoever stores holds the digest until its
 * record is written, and the collector passes over what is held; whoever wants to hold what is being removed waits.
 */
import { randomUUID } from "node:crypto";
import type { Digest } from "../lib/index.ts";
import type { Migration } from "./migrate.ts";
import type { Sql } from "./sql.ts";
import { Turns } from "./turns.ts";

export interface BlobPins {
  /** Runs `work`, which stores a blob and records it. */
  hold<T>(digest: Digest, work: () => Promise<T>): Promise<T>;
  /**
   * Runs `forget` in a transaction and, when it says true, `remove` after it. Does neither while the blob is held.
   * @returns whether it was removed
   */
  removing(
    digest: Digest,
    forget: (sql: Sql) => Promise<boolean>,
    remove: () => Promise<void>,
  ): Promise<boolean>;
}

export const pinTables: Migration = [
  [
    "CREATE TABLE blob_pin (token TEXT PRIMARY KEY, digest TEXT NOT NULL, until_ms BIGINT NOT NULL)",
    "CREATE INDEX blob_pin_digest ON blob_pin (digest)",
    "CREATE TABLE blob_removal (digest TEXT PRIMARY KEY, until_ms BIGINT NOT NULL)",
  ],
];

/** Among several instances (PostgreSQL), or within one process (SQLite), which takes its pins along when it dies. */
export function blobPins(sql: Sql): BlobPins {
  return sql.dialect === "postgres" ? new SharedPins(sql) : new LocalPins(sql);
}

class LocalPins implements BlobPins {
  readonly #sql: Sql;
  readonly #held = new Map<Digest, number>();
  readonly #removals = new Map<Digest, Promise<unknown>>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async hold<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    for (let other = this.#removals.get(digest); other !== undefined; other = this.#removals.get(digest))
      await other;
    this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#held.get(digest) ?? 1) - 1;
      if (left === 0) this.#held.delete(digest);
      else this.#held.set(digest, left);
    }
  }

  async removing(
    digest: Digest,
    forget: (sql: Sql) => Promise<boolean>,
    remove: () => Promise<void>,
  ): Promise<boolean> {
    if (this.#held.has(digest) || this.#removals.has(digest)) return false;
    const removal = (async () => {
      const isForgotten = await this.#sql.transaction(forget);
      if (isForgotten) await remove();
      return isForgotten;
    })();
    const settled = removal.catch(() => undefined).finally(() => this.#removals.delete(digest));
    this.#removals.set(digest, settled);
    return removal;
  }
}

/** A dead instance's pins and removals end by themselves. Renewed while `work` lasts. */
const pinMs = 60_000;
const removalMs = 60_000;

class SharedPins implements BlobPins {
  readonly #sql: Sql;
  readonly #turns = new Turns();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async hold<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    const token = randomUUID();
    // One at a time here, so that many clients with one blob do not collide in the database.
    await this.#turns.take(digest, async () => {
      while (!(await this.#pin(token, digest))) await Bun.sleep(10 + Math.random() * 20);
    });
    const renewal = setInterval(() => {
      const until = Date.now() + pinMs;
      // A failure is told by what `work` itself does with the database.
      this.#sql
        .query("UPDATE blob_pin SET until_ms = $1 WHERE token = $2", until, token)
        .catch(() => undefined);
    }, pinMs / 4);
    try {
      return await work();
    } finally {
      clearInterval(renewal);
      // Left alone, it ends by itself.
      await this.#sql.query("DELETE FROM blob_pin WHERE token = $1", token).catch(() => undefined);
    }
  }

  async removing(
    digest: Digest,
    forget: (sql: Sql) => Promise<boolean>,
    remove: () => Promise<void>,
  ): Promise<boolean> {
    const isForgotten = await this.#sql.transaction(async (sql) => {
      const now = Date.now();
      await sql.query("DELETE FROM blob_pin WHERE digest = $1 AND until_ms < $2", digest, now);
      const pins = await sql.query("SELECT token FROM blob_pin WHERE digest = $1 LIMIT 1", digest);
      if (pins.length > 0 || !(await forget(sql))) return false;
      const marked = await sql.query(
        "INSERT INTO blob_removal VALUES ($1, $2) ON CONFLICT (digest) DO UPDATE SET until_ms = excluded.until_ms RETURNING digest",
        digest,
        now + removalMs,
      );
      return marked.length > 0;
    });
    if (!isForgotten) return false;
    await remove();
    await this.#sql.query("DELETE FROM blob_removal WHERE digest = $1", digest);
    return true;
  }

  async #pin(token: string, digest: Digest): Promise<boolean> {
    return this.#sql.transaction(async (sql) => {
      const now = Date.now();
      const removals = await sql.query("SELECT until_ms FROM blob_removal WHERE digest = $1", digest);
      if (removals.some((row) => Number(row["until_ms"]) > now)) return false;
      if (removals.length > 0) await sql.query("DELETE FROM blob_removal WHERE digest = $1", digest);
      await sql.query("INSERT INTO blob_pin VALUES ($1, $2, $3)", token, digest, now + pinMs);
      return true;
    });
  }
}
