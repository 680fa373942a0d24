/** A right that one instance has at a time and loses when it dies: whoever else wants it waits for its end. */
import { randomUUID } from "node:crypto";
import type { Migration } from "./migrate.ts";
import type { Sql } from "./sql.ts";

export const leaseTables: Migration = [
  ["CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until_ms BIGINT NOT NULL)"],
];

/** Clocks of instances may differ by a part of this. */
const leaseMs = 15_000;

export class Lease {
  readonly #sql: Sql;
  readonly #name: string;
  readonly #holder = randomUUID();

  constructor(sql: Sql, name: string) {
    this.#sql = sql;
    this.#name = name;
  }

  /** Takes or renews it; false: another instance has it. */
  async take(): Promise<boolean> {
    const now = Date.now();
    const rows = await this.#sql.query(
      `INSERT INTO lease VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE
        SET holder = excluded.holder, until_ms = excluded.until_ms
        WHERE lease.holder = excluded.holder OR lease.until_ms < $4 RETURNING holder`,
      this.#name,
      this.#holder,
      now + leaseMs,
      now,
    );
    return rows.length > 0;
  }

  async release(): Promise<void> {
    await this.#sql.query("DELETE FROM lease WHERE name = $1 AND holder = $2", this.#name, this.#holder);
  }
}
