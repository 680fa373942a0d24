/** SQLite as the record of everything on one machine: WAL, migrations by room, transactions. */
import { Database as Sqlite } from "bun:sqlite";
import { GantryError } from "./errors.ts";

export type SqlValue = string | number | bigint | null | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

/** One SQLite file, opened by one engine at a time. */
export class Database {
  readonly #sqlite: Sqlite;

  /** @param path the file, or ":memory:" */
  constructor(path: string) {
    this.#sqlite = new Sqlite(path, { create: true, strict: true });
    this.#sqlite.run("PRAGMA journal_mode = WAL");
    this.#sqlite.run("PRAGMA synchronous = NORMAL");
    this.#sqlite.run("PRAGMA foreign_keys = ON");
    this.#sqlite.run("PRAGMA busy_timeout = 5000");
    this.#sqlite.run("CREATE TABLE IF NOT EXISTS schema_version (room TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT");
  }

  /**
   * Brings one room's tables up to date: `steps[n]` leads from version n to n + 1. Never change a step that has landed.
   * @throws {GantryError} "unsupported" when the file was written by a newer Gantry
   */
  migrate(room: string, steps: readonly string[]): void {
    this.transaction(() => {
      const row = this.get("SELECT version FROM schema_version WHERE room = ?", room);
      const from = Number(row?.["version"] ?? 0);
      if (from > steps.length) {
        throw new GantryError("unsupported", `the records of ${room} are of version ${from}; this gantry knows ${steps.length}`, {
          hint: "use the newer gantry that wrote them, or another --root",
        });
      }
      for (const step of steps.slice(from)) this.#sqlite.run(step);
      this.run("INSERT INTO schema_version VALUES (?, ?) ON CONFLICT (room) DO UPDATE SET version = excluded.version", room, steps.length);
    });
  }

  /** Runs one statement. Prepared statements are cached by their text. */
  run(sql: string, ...values: readonly SqlValue[]): { readonly changes: number } {
    return { changes: this.#sqlite.query(sql).run(...values).changes };
  }

  get(sql: string, ...values: readonly SqlValue[]): Row | undefined {
    return (this.#sqlite.query(sql).get(...values) as Row | null) ?? undefined;
  }

  all(sql: string, ...values: readonly SqlValue[]): readonly Row[] {
    return this.#sqlite.query(sql).all(...values) as Row[];
  }

  /**
   * All of `work` or nothing. Must be synchronous.
   * @param durable survive a power cut as well as a kill: the log is fsynced before this returns
   */
  transaction<T>(work: () => T, durable = false): T {
    if (!durable) return this.#sqlite.transaction(work).immediate();
    this.#sqlite.run("PRAGMA synchronous = FULL");
    try {
      return this.#sqlite.transaction(work).immediate();
    } finally {
      this.#sqlite.run("PRAGMA synchronous = NORMAL");
    }
  }

  close(): void {
    this.#sqlite.close();
  }
}
