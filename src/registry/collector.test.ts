import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createLogger } from "../lib/index.ts";
import { Collector } from "./collector.ts";
import { DiskBlobs } from "./disk-blobs.ts";
import { Metadata } from "./metadata.ts";
import { SqliteSql } from "./sqlite-sql.ts";

const root = mkdtempSync("/tmp/gantry-collector-unit-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("all expired uploads go in one run, however many they are", async () => {
  const sql = await SqliteSql.open(`${root}/db`);
  const metadata = await Metadata.open(sql);
  const blobs = await DiskBlobs.open(root);
  const count = 603;
  for (let i = 0; i < count; i++) {
    await metadata.beginUpload(`upload-${i}`, "team/app", 1);
    await blobs.begin(`upload-${i}`);
  }
  await metadata.beginUpload("fresh", "team/app", Date.now());
  await blobs.begin("fresh");
  const collector = await Collector.open({ metadata, blobs, logger: createLogger("error") });
  expect((await collector.run({ dryRun: true })).uploads).toBe(count);
  expect((await collector.run()).uploads).toBe(count);
  expect(readdirSync(`${root}/uploads`)).toEqual(["fresh"]);
  await collector.close();
  await sql.close();
});
