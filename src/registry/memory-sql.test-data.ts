/** SQLite in memory as `Sql`, for tests. */
import { Database } from "bun:sqlite";
import { adminTables } from "./access/tables.ts";
import { migrate } from "./migrate.ts";
import type { Sql, SqlRow, SqlValue } from "./sql.ts";

export class MemorySql implements Sql {
  readonly dialect = "sqlite";
  readonly #database = new Database(":memory:");
  #last: Promise<unknown> = Promise.resolve();

  async query(text: string, ...values: readonly SqlValue[]): Promise<readonly SqlRow[]> {
    const statement = this.#database.query<SqlRow, SqlValue[]>(text.replace(/\$(\d+)/g, "?$1"));
    return statement.all(...values);
  }

  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      this.#database.run("BEGIN");
      try {
        const value = await work(this);
        this.#database.run("COMMIT");
        return value;
      } catch (error) {
        this.#database.run("ROLLBACK");
        throw error;
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  static async open(): Promise<MemorySql> {
    const sql = new MemorySql();
    await migrate(sql, "admin", adminTables);
    return sql;
  }
}
