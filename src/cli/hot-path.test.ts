import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What is loaded with a file, but for what it imports by import(). */
function loadedWith(
  path: string,
  seen: Map<string, readonly string[]> = new Map(),
): ReadonlyMap<string, readonly string[]> {
  if (seen.has(path)) return seen;
  const imports = new Bun.Transpiler({ loader: "ts" })
    .scanImports(readFileSync(path, "utf8"))
    .filter(({ kind }) => kind === "import-statement")
    .map((one) => one.path);
  seen.set(
    path,
    imports.filter((name) => !name.startsWith(".")),
  );
  for (const name of imports) if (name.startsWith(".")) loadedWith(join(dirname(path), name), seen);
  return seen;
}

// node:fs alone takes 0.7 ms to load, a fifth of the time in which `gantry version` starts.
test.each([
  "main.ts",
  "commands/run.ts",
  "commands/exec.ts",
  "commands/ps.ts",
  "commands/lifecycle.ts",
  "session/joined-session.ts",
])("cli/%s loads no module but our own, and not many", (name) => {
  const loaded = loadedWith(join(import.meta.dir, name));
  expect([...loaded.values()].flat()).toEqual([]);
  expect(loaded.size).toBeLessThan(50);
});
