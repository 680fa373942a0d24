import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { LayerFiles } from "./layer-files.ts";
import { UserLookup } from "./user-lookup.ts";

let dir = "";
beforeEach(() => (dir = realpathSync(mkdtempSync(join(tmpdir(), "gantry-layers-")))));
afterEach(() => rmSync(dir, { recursive: true }));

const opaque = new Set<string>();
const sys = {
  getXattr(path: string): Uint8Array {
    if (opaque.has(path)) return Buffer.from("y");
    throw Object.assign(new Error("no data"), { code: "ENODATA" });
  },
};

function put(layer: string, path: string, text: string): void {
  const file = join(dir, layer, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
function link(layer: string, path: string, target: string): void {
  const file = join(dir, layer, path);
  mkdirSync(dirname(file), { recursive: true });
  symlinkSync(target, file);
}
function read(path: string, ...layers: string[]): string | undefined {
  for (const layer of layers) mkdirSync(join(dir, layer), { recursive: true });
  const bytes = new LayerFiles(
    sys,
    layers.map((layer) => join(dir, layer)),
  ).read(path, 1000);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

describe("LayerFiles", () => {
  test("the upper layer wins, directories are merged", () => {
    put("low", "etc/passwd", "low");
    put("low", "etc/group", "group");
    put("up", "etc/passwd", "up");
    expect(read("/etc/passwd", "up", "low")).toBe("up");
    expect(read("/etc/group", "up", "low")).toBe("group");
    expect(read("/etc/shadow", "up", "low")).toBeUndefined();
  });

  test("an opaque directory hides what is below", () => {
    put("low", "etc/group", "group");
    put("up", "etc/passwd", "up");
    opaque.add(join(dir, "up/etc"));
    expect(read("/etc/group", "up", "low")).toBeUndefined();
    opaque.clear();
  });

  test("a file over a directory hides it", () => {
    put("low", "etc/group", "group");
    put("up", "etc", "a file");
    expect(read("/etc/group", "up", "low")).toBeUndefined();
  });

  test("links are followed inside the root only", () => {
    put("low", "usr/lib/passwd", "inside");
    writeFileSync(join(dir, "secret"), "host");
    link("up", "etc/passwd", "../usr/lib/passwd");
    link("up", "etc/absolute", "/usr/lib/passwd");
    link("up", "etc/escape", "../../../../../../../../secret");
    link("up", "etc/host", join(dir, "secret"));
    link("up", "dirlink", "/usr/lib");
    expect(read("/etc/passwd", "up", "low")).toBe("inside");
    expect(read("/etc/absolute", "up", "low")).toBe("inside");
    expect(read("/dirlink/passwd", "up", "low")).toBe("inside");
    expect(read("/etc/escape", "up", "low")).toBeUndefined();
    expect(read("/etc/host", "up", "low")).toBeUndefined();
    expect(read("/../../secret", "up", "low")).toBeUndefined();
  });

  test("loops, directories and pipes end the look and do not wait", () => {
    link("up", "etc/a", "b");
    link("up", "etc/b", "a");
    Bun.spawnSync(["mkfifo", join(dir, "up/etc/pipe")]);
    expect(read("/etc/a", "up")).toBeUndefined();
    expect(read("/etc", "up")).toBeUndefined();
    expect(read("/etc/pipe", "up")).toBeUndefined();
  });

  test("no more than the limit is read", () => {
    put("low", "big", "x".repeat(5000));
    expect(read("/big", "low")).toHaveLength(1000);
  });

  test("where a directory lies", () => {
    put("low", "data/a", "");
    put("up", "data/b", "");
    const files = new LayerFiles(sys, [join(dir, "up"), join(dir, "low")]);
    expect(files.directories("/data")).toEqual([join(dir, "up/data"), join(dir, "low/data")]);
    expect(files.directories("/data/a")).toEqual([]);
    expect(files.directories("/none")).toEqual([]);
  });
});

test("accounts of an image are read once, a container's own each time", () => {
  put("low", "etc/passwd", "web:x:33:33::/w:\n");
  mkdirSync(join(dir, "up"));
  const lookup = new UserLookup(sys);
  const request = {
    imageId: "i",
    lowers: [join(dir, "low")],
    upper: join(dir, "up"),
    spec: "web",
    groupAdd: [],
  };
  expect(lookup.resolve(request).uid).toBe(33);
  put("low", "etc/passwd", "web:x:34:34::/w:\n");
  expect(lookup.resolve(request).uid).toBe(33);
  put("up", "etc/passwd", "web:x:35:35::/w:\n");
  expect(lookup.resolve(request).uid).toBe(35);
});
