/** Switches that may be thrown while the registry runs, in SQL, so that every instance sees them. */
import { Cached } from "./cached.ts";
import type { Sql } from "./sql.ts";

/** How soon a switch counts everywhere. */
const cacheMs = 1000;

export interface ReadOnly {
  readonly reason: string;
  readonly sinceMs: number;
}

export class Settings {
  readonly #sql: Sql;
  readonly #now: () => number;
  readonly #cached: Cached<ReadOnly | undefined>;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#now = now;
    this.#cached = new Cached(cacheMs, () => this.#readOnly(), now);
  }

  /** As it was within the last second. */
  readOnly(): Promise<ReadOnly | undefined> {
    return this.#cached.get();
  }

  async #readOnly(): Promise<ReadOnly | undefined> {
    const [row] = await this.#sql.query("SELECT value FROM setting WHERE name = 'read-only'");
    if (row === undefined) return undefined;
    const text = String(row["value"]);
    const at = text.indexOf(" ");
    return { sinceMs: Number(text.slice(0, at)), reason: text.slice(at + 1) };
  }

  /** @param reason undefined: writing is allowed again */
  async setReadOnly(reason: string | undefined): Promise<void> {
    this.#cached.forget();
    if (reason === undefined) {
      await this.#sql.query("DELETE FROM setting WHERE name = 'read-only'");
      return;
    }
    await this.#sql.query(
      "INSERT INTO setting VALUES ('read-only', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      `${this.#now()} ${reason}`,
    );
  }
}
