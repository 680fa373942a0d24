import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "./remove-tree.ts";

test("removes a tree deeper than any path may be, follows no link, and does not mind what is missing", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-remove-"));
  try {
    writeFileSync(join(dir, "kept"), "");
    // Grown at its root, so that no path gets too long while it is made.
    const name = "d".repeat(200);
    const tree = join(dir, "tree");
    mkdirSync(tree);
    symlinkSync(join(dir, "kept"), join(tree, "link"));
    for (let i = 0; i < 40; i++) {
      mkdirSync(join(dir, "next"));
      renameSync(tree, join(dir, "next", name));
      renameSync(join(dir, "next"), tree);
    }
    await removeTree(tree);
    expect(readdirSync(dir)).toEqual(["kept"]);
    await removeTree(tree);
    expect(existsSync(join(dir, "kept"))).toBe(true);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
