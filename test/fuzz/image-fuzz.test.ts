/** A short, reproducible run of the fuzzers of archives, manifests and names; `make fuzz` runs them for long. */
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { applyOnce, fuzzOnce, noCount } from "./image-fuzz.ts";
import { seedArchives } from "./tar-fuzz.ts";

test("any archive, manifest or name is read the same in any pieces, or refused in our words", () => {
  const [count, archives] = [noCount(), seedArchives()];
  expect(archives.length).toBeGreaterThan(8);
  for (let seed = 1; seed <= 1500; seed++) fuzzOnce(seed, archives, count);
  expect(count.acceptedArchives).toBeGreaterThan(150);
  expect(count.acceptedArchives).toBeLessThan(1300);
  expect(count.acceptedManifests).toBeGreaterThan(1000);
  expect(count.acceptedReferences).toBeGreaterThan(1000);
});

test("and applied, it changes nothing but its own directory", async () => {
  const archives = seedArchives();
  const dir = fs.mkdtempSync("/tmp/gantry-fuzz-apply-");
  try {
    for (let seed = 1; seed <= 40; seed++) await applyOnce(seed, archives, dir);
    expect(fs.readdirSync(`${dir}/beside`)).toEqual([]);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}, 60_000);
