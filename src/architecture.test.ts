import { expect, test } from "bun:test";
import { dirname, join, normalize, relative } from "node:path";
import { allowedImports, type Room, rooms } from "./architecture.ts";

const src = import.meta.dir;
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Every import between files of `src/`, types included: [from, to], both relative to `src/`. */
async function internalImports(): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const file of new Bun.Glob("**/*.ts").scan({ cwd: src })) {
    const text = await Bun.file(join(src, file)).text();
    // scanImports drops type-only imports, so those are read from the text as well.
    const typeOnly = [...text.matchAll(/^(?:import|export) type [^;]*? from "([^"]+)"/gm)].map(
      (m) => m[1] ?? "",
    );
    const paths = new Set([...transpiler.scanImports(text).map((i) => i.path), ...typeOnly]);
    for (const path of paths) {
      if (path.startsWith(".")) found.push([file, relative(src, normalize(join(src, dirname(file), path)))]);
    }
  }
  return found;
}

const roomOf = (file: string): Room | undefined => rooms.find((r) => file.startsWith(`${r}/`));

test("a room imports only from the rooms before it, through their index.ts", async () => {
  const breaches: string[] = [];
  for (const [from, to] of await internalImports()) {
    const importer = roomOf(from);
    const target = roomOf(to);
    if (importer === undefined || target === undefined || importer === target) continue;
    if (!allowedImports(importer).includes(target)) {
      breaches.push(`${from} imports ${to}: ${importer} may import ${allowedImports(importer).join(", ")}`);
    } else if (to !== `${target}/index.ts` && !from.endsWith(".test.ts")) {
      breaches.push(`${from} imports ${to}: use ${target}/index.ts`);
    }
  }
  expect(breaches).toEqual([]);
});

test("every room has its door and its README", async () => {
  for (const room of rooms) {
    expect(await Bun.file(join(src, room, "index.ts")).exists(), `${room}/index.ts`).toBe(true);
    expect(await Bun.file(join(src, room, "README.md")).exists(), `${room}/README.md`).toBe(true);
  }
});
