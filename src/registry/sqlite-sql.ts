/**
 * `Sql` over SQLite: one connection writes, one reads, so that nobody sees half a transaction. Commits do not wait for the
 * disk one by one and do not hold up other requests: the log is synced beside them, once for all that have come so far.
 */
import { Database, type SQLQueryBindings, SQLiteError, type Statement } from "bun:sqlite";
import { type FileHandle, open } from "node:fs/promises";
import { GantryError } from "../lib/index.ts";
import { SharedSync } from "./shared-sync.ts";
import type { Sql, SqlRow, SqlValue } from "./sql.ts";

/** Pages of the log before it is merged into the file: 16 MiB. */
const checkpointPages = 4000;
const maxStatements = 500;

export class SqliteSql implements Sql {
  readonly dialect = "sqlite";
  readonly #path: string;
  readonly #writer: Connection;
  readonly #reader: Connection;
  /** Resolves when the last transaction in line has ended. */
  #turn: Promise<unknown> | undefined;
  #log: FileHandle | undefined;
  readonly #sync = new SharedSync(() => this.#syncLog());

  private constructor(path: string) {
    this.#path = path;
    this.#writer = new Connection(path);
    this.#reader = new Connection(path);
  }

  /** @throws {GantryError} */
  static async open(path: string): Promise<SqliteSql> {
    const sql = new SqliteSql(path);
    // The log exists once something has been written.
    await sql.query(
      "CREATE TABLE IF NOT EXISTS schema_part (part TEXT PRIMARY KEY, version BIGINT NOT NULL)",
    );
    sql.#log = await open(`${path}-wal`, "r");
    return sql;
  }

  /** One statement, survives a kill; what must survive a power cut goes into a transaction. */
  async query(text: string, ...values: readonly SqlValue[]): Promise<readonly SqlRow[]> {
    if (isRead(text)) return this.#reader.run(text, values);
    while (this.#turn !== undefined) await this.#turn;
    return this.#writer.run(text, values);
  }

  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    while (this.#turn !== undefined) await this.#turn;
    const running = this.#run(work);
    const turn = running.then(ignore, ignore);
    this.#turn = turn;
    void turn.then(() => {
      this.#turn = undefined;
    });
    const result = await running;
    await this.#sync.run();
    return result;
  }

  async close(): Promise<void> {
    while (this.#turn !== undefined) await this.#turn;
    await this.#sync.run();
    this.#reader.close();
    this.#writer.close();
    await this.#log?.close();
    this.#log = undefined;
  }

  async #run<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    this.#writer.run("BEGIN IMMEDIATE", []);
    try {
      const result = await work(new Inside(this.#writer));
      this.#writer.run("COMMIT", []);
      return result;
    } catch (error) {
      this.#writer.rollback();
      throw error;
    }
  }

  async #syncLog(): Promise<void> {
    try {
      await this.#log?.datasync();
    } catch (error) {
      throw new GantryError("unavailable", `the records in ${this.#path} cannot be brought to disk`, {
        cause: error,
      });
    }
  }
}

/** Sql as a transaction's work sees it. */
class Inside implements Sql {
  readonly dialect = "sqlite";
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async query(text: string, ...values: readonly SqlValue[]): Promise<readonly SqlRow[]> {
    return this.#connection.run(text, values);
  }

  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return work(this);
  }

  async close(): Promise<void> {}
}

class Connection {
  readonly #path: string;
  readonly #database: Database;
  readonly #statements = new Map<string, Statement<SqlRow, SQLQueryBindings[]>>();

  constructor(path: string) {
    this.#path = path;
    this.#database = new Database(path, { create: true, strict: true });
    // The log is synced by its owner after a commit, by SQLite before it is merged.
    for (const pragma of [
      // First: another process may open the file at this moment.
      "busy_timeout = 5000",
      "journal_mode = WAL",
      "synchronous = NORMAL",
      `wal_autocheckpoint = ${checkpointPages}`,
      "cache_size = -8192",
    ])
      this.#database.run(`PRAGMA ${pragma}`);
  }

  run(text: string, values: readonly SqlValue[]): readonly SqlRow[] {
    try {
      return this.#statement(text).all(...values.map(bound));
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** After a failed commit there may be nothing to roll back. */
  rollback(): void {
    if (this.#database.inTransaction) this.#database.run("ROLLBACK");
  }

  close(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#statements.clear();
    this.#database.close();
  }

  #statement(text: string): Statement<SqlRow, SQLQueryBindings[]> {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    if (this.#statements.size >= maxStatements) {
      for (const statement of this.#statements.values()) statement.finalize();
      this.#statements.clear();
    }
    // `$2` would be a name to SQLite and bound in the order of appearance.
    const statement = this.#database.prepare<SqlRow, SQLQueryBindings[]>(text.replaceAll(/\$(\d+)/g, "?$1"));
    this.#statements.set(text, statement);
    return statement;
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof SQLiteError)) return error;
    if (error.code === "SQLITE_FULL")
      return new GantryError(
        "exhausted",
        `no space left on device: the records in ${this.#path} cannot be written`,
        { cause: error },
      );
    if (error.code === "SQLITE_BUSY")
      return new GantryError("unavailable", `the records in ${this.#path} are locked by another process`, {
        cause: error,
      });
    return error;
  }
}

function isRead(text: string): boolean {
  return /^\s*SELECT\b/i.test(text);
}

function bound(value: SqlValue): SQLQueryBindings {
  return typeof value === "boolean" ? Number(value) : value;
}

function ignore(): void {}
