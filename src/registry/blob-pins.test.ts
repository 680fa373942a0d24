import { expect, test } from "bun:test";
import { sha256 } from "../lib/index.ts";
import { blobPins, pinTables } from "./blob-pins.ts";
import { Lease, leaseTables } from "./lease.ts";
import { migrate } from "./migrate.ts";
import { SqliteSql } from "./sqlite-sql.ts";
import type { Sql } from "./sql.ts";

const digest = sha256("blob");

/** The same promises of both kinds: within one process, and among several through the database. */
async function kinds(): Promise<readonly Sql[]> {
  const sql = await SqliteSql.open(`/tmp/gantry-pins-${process.pid}-${Math.random()}`);
  await migrate(sql, "pins", pinTables);
  await migrate(sql, "lease", leaseTables);
  const shared: Sql = {
    dialect: "postgres",
    query: (text, ...values) => sql.query(text, ...values),
    transaction: (work) => sql.transaction(work),
    close: () => sql.close(),
  };
  return [sql, shared];
}

test("what is held is not removed; who would hold what is being removed waits", async () => {
  for (const sql of await kinds()) {
    const pins = blobPins(sql);
    const seen: string[] = [];
    const remove = () =>
      pins.removing(
        digest,
        async () => true,
        async () => {
          await Bun.sleep(30);
          seen.push("removed");
        },
      );
    expect(await pins.hold(digest, remove)).toBe(false);
    const removal = remove();
    await Bun.sleep(5);
    await pins.hold(digest, async () => void seen.push("held"));
    expect(await removal).toBe(true);
    expect(seen).toEqual(["removed", "held"]);
    expect(
      await pins.removing(
        digest,
        async () => false,
        async () => void seen.push("wrong"),
      ),
    ).toBe(false);
    expect(seen).toHaveLength(2);
  }
});

test("a lease has one holder", async () => {
  const [sql] = await kinds();
  if (sql === undefined) throw new Error("no database");
  const [one, two] = [new Lease(sql, "x"), new Lease(sql, "x")];
  expect([await one.take(), await two.take(), await one.take()]).toEqual([true, false, true]);
  await two.release();
  expect(await two.take()).toBe(false);
  await one.release();
  expect(await two.take()).toBe(true);
});
