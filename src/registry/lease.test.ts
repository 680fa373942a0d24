import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { Lease, leaseTables } from "./lease.ts";
import { migrate } from "./migrate.ts";
import { SqliteSql } from "./sqlite-sql.ts";

test("a lease has one holder", async () => {
  const path = `/tmp/gantry-lease-${process.pid}`;
  const sql = await SqliteSql.open(path);
  await migrate(sql, "lease", leaseTables);
  const [one, two] = [new Lease(sql, "x"), new Lease(sql, "x")];
  expect([await one.take(), await two.take(), await one.take()]).toEqual([true, false, true]);
  await two.release();
  expect(await two.take()).toBe(false);
  await one.release();
  expect(await two.take()).toBe(true);
  await sql.close();
  for (const end of ["", "-wal", "-shm"]) rmSync(path + end, { force: true });
});
