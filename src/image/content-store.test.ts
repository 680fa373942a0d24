import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GantryError, sha256 } from "../lib/index.ts";
import { ContentStore } from "./content-store.ts";

let root = "";
let store: ContentStore;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "gantry-content-"));
  store = new ContentStore(root);
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

async function* stream(...parts: readonly string[]): AsyncGenerator<Uint8Array, void, void> {
  for (const part of parts) yield Buffer.from(part);
}

async function text(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const options = { what: "a blob", maxBytes: 100 };
const leftovers = (): string[] => fs.readdirSync(store.temporary);

test("a blob is stored under its digest, once", async () => {
  const first = await store.ingest(stream("hel", "lo"), options);
  expect(first).toEqual({ digest: sha256("hello"), size: 5 });
  expect(await store.ingest(stream("hello"), { ...options, expected: sha256("hello") })).toEqual(first);
  expect(await text(store.read(first.digest))).toBe("hello");
  expect(store.size(first.digest)).toBe(5);
  expect(leftovers()).toEqual([]);
  store.remove(first.digest);
  expect(store.size(first.digest)).toBeUndefined();
  expect(() => store.read(first.digest)).toThrow("no such blob");
});

test.each([
  [
    "another digest",
    stream("hello"),
    { ...options, expected: sha256("other") },
    "corrupt",
    "a blob has digest",
  ],
  [
    "too many bytes",
    stream("x".repeat(60), "x".repeat(60)),
    options,
    "exhausted",
    "no space left on device: store a blob",
  ],
  [
    "a failing source",
    (async function* () {
      yield Buffer.from("part");
      throw new GantryError("canceled", "the client went away");
    })(),
    options,
    "canceled",
    "the client went away",
  ],
  ["an abort", stream("a", "b"), { ...options, signal: AbortSignal.abort() }, "canceled", "canceled"],
] as const)("%s leaves nothing behind", async (_, source, opts, code, message) => {
  const error: unknown = await store.ingest(source, opts).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(GantryError);
  expect(error).toMatchObject({ code });
  expect(String(error)).toContain(message);
  expect(leftovers()).toEqual([]);
  expect(fs.readdirSync(join(root, "blobs/sha256"))).toEqual([]);
});

test("collect keeps what is referenced", async () => {
  const keep = await store.ingest(stream("keep"), options);
  const drop = await store.ingest(stream("drop it"), options);
  fs.writeFileSync(join(root, "blobs/sha256/not-a-digest"), "?");
  expect(store.collect((digest) => digest === keep.digest)).toBe(drop.size + 1);
  expect(fs.readdirSync(join(root, "blobs/sha256"))).toEqual([keep.digest.slice(7)]);
});
