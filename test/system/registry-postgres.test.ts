/** `Sql` over a real PostgreSQL. */
import { afterAll, expect, test } from "bun:test";
import { adminSuite } from "../../src/registry/admin.test-suite.ts";
import { metadataSuite } from "../../src/registry/metadata.test-suite.ts";
import { migrate } from "../../src/registry/migrate.ts";
import { PostgresSql } from "../../src/registry/postgres-sql.ts";
import { TestPostgres } from "../lib/postgres.ts";

const server = await TestPostgres.start();
afterAll(() => server[Symbol.asyncDispose]());

const empty = async (): Promise<PostgresSql> => PostgresSql.open({ url: await server.database() });
metadataSuite("PostgreSQL", empty);
adminSuite("PostgreSQL", empty);

test("bigint, boolean and bytea come back as from SQLite", async () => {
  await using pool = closing(await PostgresSql.open({ url: await server.database() }));
  const { sql } = pool;
  await sql.query("CREATE TABLE v (n BIGINT, b BYTEA, t TEXT)");
  await sql.query("INSERT INTO v VALUES ($1, $2, $3)", 1_764_040_000_123, new Uint8Array([0, 255]), "ü'");
  const rows = await sql.query("SELECT n, b, t, n > 5 AS f, count(*) AS c FROM v GROUP BY n, b, t");
  expect(rows).toEqual([{ n: 1_764_040_000_123, b: Buffer.from([0, 255]), t: "ü'", f: 1, c: 1 }]);
  expect(await sql.query("SELECT n FROM v WHERE t = $1", "x' OR 'a' = 'a")).toEqual([]);
});

test("eight instances that start at once on an empty database all find its tables", async () => {
  for (let round = 0; round < 10; round++) {
    const url = await server.database();
    const pools = (await Promise.all(Array.from({ length: 8 }, () => PostgresSql.open({ url })))).map(
      closing,
    );
    const ended = await Promise.allSettled(
      pools.map(({ sql }) => migrate(sql, "c", [["CREATE TABLE c (n BIGINT)"]])),
    );
    expect(ended.filter(({ status }) => status === "rejected")).toEqual([]);
    for (const pool of pools) await pool[Symbol.asyncDispose]();
  }
}, 60_000);

test("instances that start at once migrate once; colliding transactions lose no update", async () => {
  const url = await server.database();
  const pools = (await Promise.all([1, 2, 3].map(() => PostgresSql.open({ url })))).map(closing);
  const steps = [["CREATE TABLE c (n BIGINT)", "INSERT INTO c VALUES (0)"]];
  await Promise.all(pools.map(({ sql }) => migrate(sql, "c", steps)));
  const increment = (pool: { readonly sql: PostgresSql }): Promise<void> =>
    pool.sql.transaction(async (tx) => {
      const [row] = await tx.query("SELECT n FROM c");
      await tx.query("UPDATE c SET n = $1", Number(row?.["n"]) + 1);
    });
  await Promise.all(pools.flatMap((pool) => Array.from({ length: 20 }, () => increment(pool))));
  expect(await pools[0]?.sql.query("SELECT n FROM c")).toEqual([{ n: 60 }]);
  for (const pool of pools) await pool[Symbol.asyncDispose]();
});

test("a failed transaction leaves nothing, and its error comes through", async () => {
  await using pool = closing(await PostgresSql.open({ url: await server.database() }));
  await pool.sql.query("CREATE TABLE c (n BIGINT)");
  const work = pool.sql.transaction(async (tx) => {
    await tx.query("INSERT INTO c VALUES (1)");
    throw new Error("changed my mind");
  });
  await expect(work).rejects.toThrow("changed my mind");
  expect(await pool.sql.query("SELECT n FROM c")).toEqual([]);
});

test("a server that crashes and comes back loses no acknowledged transaction, and work waits for it", async () => {
  await using pool = closing(await PostgresSql.open({ url: await server.database() }));
  const { sql } = pool;
  await sql.query("CREATE TABLE c (n BIGINT)");
  const done: number[] = [];
  const work = Array.from({ length: 40 }, async (_, i) => {
    await Bun.sleep(i * 20);
    await sql.transaction(async (tx) => {
      await tx.query("INSERT INTO c VALUES ($1)", i);
    });
    done.push(i);
  });
  await Bun.sleep(300);
  await server.down("immediate");
  await Bun.sleep(200);
  await server.up();
  // Only one that was committing in that moment may be told as failed.
  const failed = (await Promise.allSettled(work)).filter(({ status }) => status === "rejected");
  expect(failed.length).toBeLessThan(10);
  const kept = new Set((await sql.query("SELECT n FROM c")).map((row) => row["n"]));
  expect(done.filter((n) => !kept.has(n))).toEqual([]);
}, 30_000);

test("an absent server, a slow statement and a wrong address are told", async () => {
  await server.down();
  await expect(PostgresSql.open({ url: server.url, reconnectMs: 200 })).rejects.toThrow("does not answer");
  await Bun.sleep(400);
  await server.up();
  await using pool = closing(
    await PostgresSql.open({ url: await server.database(), statementTimeoutMs: 100 }),
  );
  await expect(pool.sql.query("SELECT pg_sleep(5)")).rejects.toMatchObject({ code: "timeout" });
  await expect(PostgresSql.open({ url: "mysql://x" })).rejects.toThrow("no postgres:// URL");
});

function closing(sql: PostgresSql): AsyncDisposable & { readonly sql: PostgresSql } {
  return { sql, [Symbol.asyncDispose]: () => sql.close() };
}
