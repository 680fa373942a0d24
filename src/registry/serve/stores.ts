/** Where a registry keeps its records and its blobs, by its settings. */
import { join } from "node:path";
import { adminTables } from "../access/tables.ts";
import type { Resolved } from "../config/resolved.ts";
import { migrate } from "../migrate.ts";
import { PostgresSql } from "../postgres-sql.ts";
import type { Sql } from "../sql.ts";
import { SqliteSql } from "../sqlite-sql.ts";

/** Opens the database, its tables of accounts and rules brought up to date. @throws {GantryError} */
export async function openSql(settings: Resolved): Promise<Sql> {
  const url = settings.optional("database");
  const sql =
    url === undefined
      ? await SqliteSql.open(join(settings.text("root"), "registry.db"))
      : await PostgresSql.open({ url });
  await migrate(sql, "admin", adminTables);
  return sql;
}
