/** Tables brought up to date, the same way in both databases; safe when several instances start at once. */
import { GantryError } from "../lib/index.ts";
import type { Sql } from "./sql.ts";

/** Step n leads from version n to n + 1; each is a list of statements. */
export type Migration = readonly (readonly string[])[];

/** Ours among the advisory locks of a database: "gantry" in ASCII. */
const versionsLock = 0x67_61_6e_74_72_79;

/** @throws {GantryError} "unsupported" when a newer Gantry wrote the tables */
export async function migrate(sql: Sql, part: string, steps: Migration): Promise<void> {
  await makeVersions(sql, part);
  await sql.transaction(async (tx) => {
    // Written before it is read: whoever else starts now waits here.
    const [row] = await tx.query(
      "UPDATE schema_part SET version = version WHERE part = $1 RETURNING version",
      part,
    );
    const from = Number(row?.["version"] ?? 0);
    if (from > steps.length) {
      throw new GantryError(
        "unsupported",
        `the tables of ${part} are of version ${from}; this gantry knows ${steps.length}`,
        {
          hint: "use the newer gantry that wrote them",
        },
      );
    }
    for (const statement of steps.slice(from).flat()) await tx.query(statement);
    await tx.query("UPDATE schema_part SET version = $1 WHERE part = $2", steps.length, part);
  });
}

async function makeVersions(sql: Sql, part: string): Promise<void> {
  await sql.transaction(async (tx) => {
    // CREATE TABLE IF NOT EXISTS fails in PostgreSQL when another session is at it: one at a time.
    if (tx.dialect === "postgres") await tx.query(`SELECT pg_advisory_xact_lock(${versionsLock})`);
    await tx.query("CREATE TABLE IF NOT EXISTS schema_part (part TEXT PRIMARY KEY, version BIGINT NOT NULL)");
    await tx.query("INSERT INTO schema_part VALUES ($1, 0) ON CONFLICT (part) DO NOTHING", part);
  });
}
