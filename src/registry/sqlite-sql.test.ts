import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adminSuite } from "./admin.test-suite.ts";
import { metadataSuite } from "./metadata.test-suite.ts";
import { SqliteSql } from "./sqlite-sql.ts";

const root = mkdtempSync(join(tmpdir(), "gantry-sqlite-"));
afterAll(() => rmSync(root, { recursive: true }));

metadataSuite("SQLite", () => SqliteSql.open(join(root, "suite.db")));
adminSuite("SQLite", () => SqliteSql.open(join(root, "admin.db")));

test("parameters are bound by number, not by appearance", async () => {
  const sql = await SqliteSql.open(join(root, "numbers.db"));
  expect(await sql.query("SELECT $2 AS b, $1 AS a, $2 AS c", "one", true)).toEqual([
    { b: 1, a: "one", c: 1 },
  ]);
  await sql.close();
});

test("what was committed is there for the next who opens it", async () => {
  const path = join(root, "again.db");
  const first = await SqliteSql.open(path);
  await first.query("CREATE TABLE t (x BIGINT)");
  await Promise.all(
    Array.from({ length: 50 }, (_, i) => first.transaction((tx) => tx.query("INSERT INTO t VALUES ($1)", i))),
  );
  const second = await SqliteSql.open(path);
  expect(await second.query("SELECT count(*) AS n FROM t")).toEqual([{ n: 50 }]);
  await first.close();
  await second.close();
});
