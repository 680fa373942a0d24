/** SQLite as the record of everything on one machine: WAL, migrations by room, transactions. */
import { constants, Database as Sqlite, SQLiteError } from "bun:sqlite";
import { GantryError } from "./errors.ts";

export type SqlValue = string | number | bigint | null | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

/** Room kept for writing on a full disk; the log is merged into the file before it outgrows this. */
const reserveBytes = 1536 * 1024;
const checkpointPages = 250;

/**
 * One SQLite file, opened by one engine at a time. Its log and its free pages hold space from the start, so that on a full
 * disk containers can still be ended and removed, which is what makes space again.
 */
export class Database {
  readonly #sqlite: Sqlite;
  readonly #path: string;

  /** @param path the file, or ":memory:" */
  constructor(path: string) {
    this.#sqlite = new Sqlite(path, { create: true, strict: true });
    this.#sqlite.run("PRAGMA journal_mode = WAL");
    this.#sqlite.run("PRAGMA synchronous = NORMAL");
    this.#sqlite.run("PRAGMA foreign_keys = ON");
    this.#sqlite.run("PRAGMA busy_timeout = 5000");
    this.#path = path;
    this.#writing(() =>
      this.#sqlite.run(
        "CREATE TABLE IF NOT EXISTS schema_version (room TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT",
      ),
    );
    if (path !== ":memory:") this.#reserve();
  }

  /** Writes as much as the reserve and frees it again: the file keeps the pages, the log keeps its length. */
  #reserve(): void {
    this.#sqlite.run(`PRAGMA wal_autocheckpoint = ${checkpointPages}`);
    this.#sqlite.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
    try {
      // A crash in the middle of this leaves the table.
      this.#sqlite.run("CREATE TABLE IF NOT EXISTS reserve (bytes BLOB)");
      this.#sqlite.query("INSERT INTO reserve VALUES (zeroblob(?))").run(reserveBytes);
      this.#sqlite.run("DROP TABLE reserve");
      this.#sqlite.run("PRAGMA wal_checkpoint(RESTART)");
    } catch (error) {
      // SQLITE_FULL: the disk is full already; what an earlier engine reserved is still there.
      if (!isFull(error)) throw error;
      this.#sqlite.run("DROP TABLE IF EXISTS reserve");
    }
  }

  /** Runs `work` with a full disk told as such. */
  #writing<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isFull(error)) throw error;
      throw new GantryError(
        "exhausted",
        `no space left on device: the records in ${this.#path} cannot be written`,
        {
          cause: error,
          hint: "free disk space, for example with: gantry system prune",
        },
      );
    }
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
        throw new GantryError(
          "unsupported",
          `the records of ${room} are of version ${from}; this gantry knows ${steps.length}`,
          {
            hint: "use the newer gantry that wrote them, or another --root",
          },
        );
      }
      for (const step of steps.slice(from)) this.#sqlite.run(step);
      this.run(
        "INSERT INTO schema_version VALUES (?, ?) ON CONFLICT (room) DO UPDATE SET version = excluded.version",
        room,
        steps.length,
      );
    });
  }

  /** Runs one statement. Prepared statements are cached by their text. */
  run(sql: string, ...values: readonly SqlValue[]): { readonly changes: number } {
    return this.#writing(() => ({ changes: this.#sqlite.query(sql).run(...values).changes }));
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
    if (!durable) return this.#writing(() => this.#sqlite.transaction(work).immediate());
    this.#sqlite.run("PRAGMA synchronous = FULL");
    try {
      return this.#writing(() => this.#sqlite.transaction(work).immediate());
    } finally {
      this.#sqlite.run("PRAGMA synchronous = NORMAL");
    }
  }

  close(): void {
    this.#sqlite.close();
  }
}

function isFull(error: unknown): boolean {
  return error instanceof SQLiteError && error.code === "SQLITE_FULL";
}
