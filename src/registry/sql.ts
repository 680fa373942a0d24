/**
 * The least that SQLite and PostgreSQL have in common. Statements number their parameters (`$1`), both databases know
 * `ON CONFLICT … DO UPDATE`, `RETURNING` and common table expressions; whatever needs more is two statements.
 */
export type SqlValue = string | number | boolean | Uint8Array | null;
export type SqlRow = Readonly<Record<string, unknown>>;

export interface Sql {
  readonly dialect: "sqlite" | "postgres";
  query(text: string, ...values: readonly SqlValue[]): Promise<readonly SqlRow[]>;
  /**
   * All of `work` or nothing, durable when it resolves. No other transaction sees half of it; `work` must use the Sql that it is
   * given, must have no effect but on it, and is run again when the database says that two transactions collided.
   */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
