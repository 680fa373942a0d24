/**
 * `Sql` over PostgreSQL. Transactions are serializable and run again when they collide, so that what is right in SQLite,
 * where one writes at a time, is right here. Values come back as in SQLite: bigint as number, boolean as 0 or 1, bytea as
 * bytes.
 */
import { SQL } from "bun";
import type { GantryError } from "../lib/index.ts";
import { type PostgresConfig, postgresName, postgresOptions } from "./postgres-config.ts";
import { isAbsence, isCollision, postgresError } from "./postgres-errors.ts";
import type { Sql, SqlRow, SqlValue } from "./sql.ts";

/** A transaction that collides this often gives up: a minute of back-off lies behind it. */
const maxCollisions = 40;

export class PostgresSql implements Sql {
  readonly dialect = "postgres";
  readonly #pool: SQL;
  readonly #name: string;
  readonly #reconnectMs: number;

  private constructor(config: PostgresConfig) {
    this.#pool = new SQL(postgresOptions(config));
    this.#name = postgresName(config);
    this.#reconnectMs = config.reconnectMs ?? 20_000;
  }

  /** Connects once, so that a wrong address or password is told at the start. @throws {GantryError} */
  static async open(config: PostgresConfig): Promise<PostgresSql> {
    const sql = new PostgresSql(config);
    try {
      await sql.query("SELECT 1");
      return sql;
    } catch (error) {
      await sql.close();
      throw error;
    }
  }

  /** Statements that only read are sent again when the server was lost; for others nobody knows whether they were carried out. */
  async query(text: string, ...values: readonly SqlValue[]): Promise<readonly SqlRow[]> {
    const mayRepeat = /^\s*SELECT\b/i.test(text);
    return this.#patiently(
      () => rowsOf(this.#pool, text, values),
      () => mayRepeat,
    );
  }

  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    let isCommitting = false;
    return this.#patiently(
      async () => {
        isCommitting = false;
        const connection = await this.#pool.reserve();
        try {
          await connection.unsafe("BEGIN ISOLATION LEVEL SERIALIZABLE");
          const result = await work(new Inside(connection));
          isCommitting = true;
          await connection.unsafe("COMMIT");
          return result;
        } catch (error) {
          // Fails when the connection is lost: the server has rolled back then.
          await connection.unsafe("ROLLBACK").catch(() => undefined);
          throw error;
        } finally {
          connection.release();
        }
      },
      // A commit without an answer may have happened.
      () => !isCommitting,
    );
  }

  async close(): Promise<void> {
    await this.#pool.close({ timeout: 2 });
  }

  /**
   * Tries again after collisions and, where `mayRepeat`, after the server was lost.
   * @throws {GantryError} or what `work` has thrown
   */
  async #patiently<T>(work: () => Promise<T>, mayRepeat: () => boolean): Promise<T> {
    const deadline = performance.now() + this.#reconnectMs;
    for (let collided = 0, lost = 0; ;) {
      try {
        return await work();
      } catch (error) {
        if (isCollision(error) && collided < maxCollisions) {
          collided += 1;
          await pause(Math.min(5 * 2 ** Math.min(collided, 8), 1000));
        } else if (isAbsence(error) && mayRepeat() && performance.now() < deadline) {
          lost += 1;
          await pause(Math.min(25 * 2 ** Math.min(lost, 6), 1000));
        } else throw postgresError(error, this.#name) as GantryError;
      }
    }
  }
}

/** The connection of one transaction. */
class Inside implements Sql {
  readonly dialect = "postgres";
  readonly #connection: Bun.ReservedSQL;

  constructor(connection: Bun.ReservedSQL) {
    this.#connection = connection;
  }

  async query(text: string, ...values: readonly SqlValue[]): Promise<readonly SqlRow[]> {
    return rowsOf(this.#connection, text, values);
  }

  /** Part of the whole already. */
  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return work(this);
  }

  async close(): Promise<void> {}
}

async function rowsOf(sql: SQL, text: string, values: readonly SqlValue[]): Promise<readonly SqlRow[]> {
  const rows: Iterable<Readonly<Record<string, unknown>>> = await sql.unsafe(text, values.map(sent));
  return Array.from(rows, (row) => {
    const plain: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(row)) plain[name] = received(value);
    return plain;
  });
}

function sent(value: SqlValue): SqlValue {
  return typeof value === "boolean" ? Number(value) : value;
}

/** All our numbers are bytes, counts and milliseconds, far below 2^53. */
function received(value: unknown): unknown {
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  return value;
}

/** Waits between half and all of `ms`, so that those who collided do not meet again. */
async function pause(ms: number): Promise<void> {
  await Bun.sleep(ms / 2 + (Math.random() * ms) / 2);
}
