import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { listChanges } from "./list-changes.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync("/tmp/gantry-changes-");
  for (const name of ["upper", "top", "bottom"]) mkdirSync(join(dir, name));
});
afterEach(() => rmSync(dir, { recursive: true }));

function put(path: string, text = "x"): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}

const none = { getXattr: () => new Uint8Array() };
const changes = (stubs: readonly string[] = [], sys = none): string[] =>
  listChanges(sys, {
    upper: join(dir, "upper"),
    lowers: [join(dir, "top"), join(dir, "bottom")],
    stubs: new Set(stubs),
  }).map(({ path, kind }) => `${kind.charAt(0)} ${path}`);

test("added, modified, and the directories on the way", () => {
  put("bottom/etc/passwd");
  put("top/etc/hosts");
  put("upper/etc/passwd");
  put("upper/etc/new");
  put("upper/var/log/x");
  put("upper/file");
  expect(changes()).toEqual([
    "m /etc",
    "a /etc/new",
    "m /etc/passwd",
    "a /file",
    "a /var",
    "a /var/log",
    "a /var/log/x",
  ]);
});

test("nothing changed: a directory that was only copied up is none", () => {
  put("bottom/etc/passwd");
  mkdirSync(join(dir, "upper/etc"));
  expect(changes()).toEqual([]);
  chmodSync(join(dir, "upper/etc"), 0o700);
  expect(changes()).toEqual(["m /etc"]);
});

test("empty targets of mounts are none, full ones are", () => {
  mkdirSync(join(dir, "upper/proc"));
  put("upper/etc/hosts", "");
  put("upper/dev/full");
  expect(changes(["proc", "etc/hosts", "etc", "dev"])).toEqual(["a /dev", "a /dev/full"]);
});

test("what an opaque directory hides is not there", () => {
  put("bottom/etc/passwd");
  put("upper/etc/passwd");
  const opaqueEtc = { getXattr: () => Buffer.from("y") };
  expect(changes([], opaqueEtc)).toEqual(["m /etc", "a /etc/passwd"]);
});

test("links are not followed, neither above nor below", () => {
  mkdirSync(join(dir, "outside"));
  put("outside/secret");
  symlinkSync(join(dir, "outside"), join(dir, "bottom/a"));
  symlinkSync(join(dir, "outside"), join(dir, "upper/b"));
  put("upper/a/secret");
  expect(changes()).toEqual(["m /a", "a /a/secret", "a /b"]);
});
