import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestLike, sha256 } from "../lib/index.ts";
import { blobStoreSuite } from "./blob-store.test-suite.ts";
import { DiskBlobs } from "./disk-blobs.ts";

const root = mkdtempSync(join(tmpdir(), "gantry-disk-blobs-"));
afterAll(() => rmSync(root, { recursive: true }));

blobStoreSuite("directory", () => DiskBlobs.open(join(root, "suite")));

async function* pieces(...all: readonly (string | Error)[]): AsyncIterable<Uint8Array> {
  for (const piece of all) {
    if (piece instanceof Error) throw piece;
    yield Buffer.from(piece);
  }
}

test("what came before a client was gone is kept, and another algorithm than expected is hashed again", async () => {
  const store = await DiskBlobs.open(join(root, "kept"));
  await store.begin("one", "sha256");
  await expect(store.append("one", pieces("abc", new Error("gone")), 100)).rejects.toThrow("gone");
  expect(await store.uploaded("one")).toBe(3);
  await store.append("one", pieces("def"), 100);
  const digest = digestLike(parse512, Buffer.from("abcdef"));
  expect(await store.commit("one", digest)).toBe(6);
  await store.sync([digest]);
  expect(await new Response(await store.read(digest)).text()).toBe("abcdef");
});

const parse512 = digestLike(`sha512:${"0".repeat(128)}` as ReturnType<typeof sha256>, Buffer.from(""));

test.each(["../x", "a/b", "", ".hidden", "x".repeat(200), "a\0b"])("%j is no upload", async (id) => {
  const store = await DiskBlobs.open(join(root, "ids"));
  await expect(store.begin(id)).rejects.toMatchObject({ code: "BLOB_UPLOAD_UNKNOWN" });
  await expect(store.uploaded(id)).rejects.toMatchObject({ code: "BLOB_UPLOAD_UNKNOWN" });
  expect(readdirSync(join(root, "ids/uploads"))).toEqual([]);
});

test("a blob that is gone cannot be brought to disk", async () => {
  const store = await DiskBlobs.open(join(root, "gone"));
  await expect(store.sync([sha256("nothing")])).rejects.toMatchObject({ code: "not-found" });
});
