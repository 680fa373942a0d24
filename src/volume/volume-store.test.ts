import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, Database, GantryError } from "../lib/index.ts";
import { VolumeStore } from "./volume-store.ts";

let root = "";
let db: Database;
let logged: string[] = [];
const open = (): VolumeStore =>
  new VolumeStore({
    root,
    db,
    logger: createLogger("debug", (line) => void logged.push(line)),
    now: () => 1000,
  });
const volumesDir = (): string => join(root, "volumes");

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "gantry-volume-"));
  db = new Database(":memory:");
  logged = [];
});
afterEach(() => {
  db.close();
  rmSync(root, { recursive: true, force: true });
});

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof GantryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
}

test("a named volume is a directory of mode 755 and keeps labels", () => {
  const volume = open().create({ name: "data", labels: { a: "b" }, options: {} });
  expect(volume).toEqual({
    name: "data",
    driver: "local",
    createdAtMs: 1000,
    labels: { a: "b" },
    options: {},
    anonymous: false,
    path: join(volumesDir(), "data", "_data"),
  });
  expect(statSync(volume.path).mode & 0o777).toBe(0o755);
});

test("create is idempotent and keeps the first labels and the data", () => {
  const store = open();
  const first = store.create({ name: "data", labels: { a: "1" }, options: {} });
  writeFileSync(join(first.path, "file"), "x");
  expect(store.create({ name: "data", labels: { a: "2" }, options: {} })).toEqual(first);
  expect(existsSync(join(first.path, "file"))).toBe(true);
});

test("an anonymous volume has 64 hex digits and Docker's label", () => {
  const volume = open().create({ labels: {}, options: {} });
  expect(volume.name).toMatch(/^[0-9a-f]{64}$/);
  expect(volume.labels).toEqual({ "com.docker.volume.anonymous": "" });
  expect(volume.anonymous).toBe(true);
});

test.each([
  ["a", "volume name is too short"],
  ["../x", "includes invalid characters"],
  ["a/b", "includes invalid characters"],
  [".hidden", "includes invalid characters"],
  ["a b", "includes invalid characters"],
  ["x".repeat(256), "includes invalid characters"],
  ["ok\n", "includes invalid characters"],
])("name %p is refused", (name, words) => {
  expect(codeOf(() => open().create({ name, labels: {}, options: {} }))).toContain(`invalid: `);
  expect(codeOf(() => open().create({ name, labels: {}, options: {} }))).toContain(words);
  expect(readdirSync(volumesDir())).toEqual([]);
});

test.each([
  [{ driver: "nfs", options: {} }, 'not-found: error looking up volume plugin nfs: plugin "nfs" not found'],
  [
    { driver: "local", options: { type: "nfs" } },
    "unsupported: option type of the volume driver local is not supported",
  ],
  [{ driver: "", options: { colour: "red" } }, 'invalid: invalid option: "colour"'],
])("driver and options %p", ({ driver, options }, message) => {
  expect(codeOf(() => open().create({ name: "data", driver, labels: {}, options }))).toBe(message);
  expect(open().list()).toEqual([]);
});

test("remove deletes record and data; a missing one is an error unless forced", async () => {
  const store = open();
  store.create({ name: "data", labels: {}, options: {} });
  await store.remove("data", { force: false });
  expect(readdirSync(volumesDir())).toEqual([]);
  await expect(store.remove("data", { force: false })).rejects.toThrow("get data: no such volume");
  await store.remove("data", { force: true });
});

test("prune takes unused anonymous volumes, or all unused ones", async () => {
  const store = open();
  const anonymous = store.create({ labels: {}, options: {} });
  const used = store.create({ labels: {}, options: {} });
  store.create({ name: "named", labels: { keep: "" }, options: {} });
  writeFileSync(join(anonymous.path, "file"), Buffer.alloc(64 * 1024, 1));
  const first = await store.prune(new Set([used.name]), { all: false });
  expect(first.deleted).toEqual([anonymous.name]);
  expect(first.reclaimedBytes).toBeGreaterThanOrEqual(64 * 1024);
  const filtered = await store.prune(new Set([used.name]), {
    all: true,
    mayGo: (volume) => !("keep" in volume.labels),
  });
  expect(filtered.deleted).toEqual([]);
  expect((await store.prune(new Set([used.name]), { all: true })).deleted).toEqual(["named"]);
  expect(store.list().map((volume) => volume.name)).toEqual([used.name]);
});

test("usage counts a file of two names once", async () => {
  const store = open();
  const { path } = store.create({ name: "data", labels: {}, options: {} });
  writeFileSync(join(path, "file"), Buffer.alloc(128 * 1024, 1));
  const before = await store.usage("data");
  linkSync(join(path, "file"), join(path, "again"));
  expect(await store.usage("data")).toBe(before);
});

test("after a crash: missing directories are made, half-removed ones deleted, unknown ones kept and told", async () => {
  const store = open();
  const volume = store.create({ name: "data", labels: {}, options: {} });
  rmSync(join(volumesDir(), "data"), { recursive: true });
  mkdirSync(join(volumesDir(), ".removed-1", "_data"), { recursive: true });
  mkdirSync(join(volumesDir(), "restored", "_data"), { recursive: true });
  open();
  expect(existsSync(volume.path)).toBe(true);
  for (let i = 0; i < 100 && readdirSync(volumesDir()).length > 2; i++) await Bun.sleep(5);
  expect(readdirSync(volumesDir()).sort()).toEqual(["data", "restored"]);
  expect(logged.join("")).toContain("volume.unknown-directory");
});
