import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const root = resolve(import.meta.dir, "../../..");
const rows = readFileSync(`${root}/docs/runtime/features.md`, "utf8")
  .split("\n")
  .filter((line) => line.startsWith("|") && !line.startsWith("| ---"))
  .slice(1)
  .map((line) => line.split("|").map((cell) => cell.trim()));

test("every feature that docs/runtime/features.md calls ours names a test that is there", () => {
  expect(rows.length).toBeGreaterThan(35);
  for (const [, feature = "", , , , ours = "", proof = ""] of rows) {
    if (!/^(y|sealed)/.test(ours)) continue;
    const [, file, title = ""] = /^(\S+) "(.+)"$/.exec(proof) ?? [];
    expect({ feature, proof, file: file ?? "missing" }).toEqual({
      feature,
      proof,
      file: expect.stringMatching(/\.test\.ts$/),
    });
    expect({ feature, found: readFileSync(`${root}/${file}`, "utf8").includes(title) }).toEqual({
      feature,
      found: true,
    });
  }
});
