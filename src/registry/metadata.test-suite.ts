/** What the records promise over any database. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Digest, sha256 } from "../lib/index.ts";
import type { NewManifest } from "./manifest-rows.ts";
import { Metadata } from "./metadata.ts";
import type { Sql } from "./sql.ts";

const mediaType = "application/vnd.oci.image.manifest.v1+json";

function manifestOf(repository: string, text: string, over: Partial<NewManifest> = {}): NewManifest {
  const bytes = Buffer.from(text);
  return {
    repository,
    manifest: { digest: sha256(bytes), mediaType, bytes },
    tags: [],
    blobs: [],
    foreignBlobs: [],
    manifests: [],
    totalBytes: bytes.length,
    ...over,
  };
}

async function link(metadata: Metadata, repository: string, digest: Digest, size = 3): Promise<void> {
  if ((await metadata.claimBlob(digest, 1)) === undefined) await metadata.setBlobSize(digest, size);
  await metadata.linkBlob(repository, digest, 1);
}

/** @param open an empty database */
export function metadataSuite(name: string, open: () => Promise<Sql>): void {
  describe(`metadata: ${name}`, () => {
    let sql: Sql;
    let metadata: Metadata;
    beforeAll(async () => {
      sql = await open();
      metadata = await Metadata.open(sql);
      await Metadata.open(sql);
    });
    afterAll(() => sql.close());

    test("a blob is known once its size is, and to the repositories that were told", async () => {
      const digest = sha256("blob");
      expect(await metadata.claimBlob(digest, 1)).toBeUndefined();
      expect(await metadata.mountBlob("other", digest, 1)).toBeUndefined();
      await metadata.setBlobSize(digest, 3);
      expect(await metadata.claimBlob(digest, 2)).toBe(3);
      expect(await metadata.blob("a", digest)).toBeUndefined();
      await metadata.linkBlob("a", digest, 2);
      expect(await metadata.blob("a", digest)).toEqual({ size: 3, touchedMs: 2 });
      expect(await metadata.mountBlob("b", digest, 4)).toBe(3);
      await metadata.touchBlob("b", digest, 9);
      expect((await metadata.blob("b", digest))?.touchedMs).toBe(9);
      expect(await metadata.repositoriesWithBlob(digest, 9)).toEqual(["a", "b"]);
      expect(await metadata.unlinkBlob("a", digest)).toBe(true);
      expect(await metadata.unlinkBlob("a", digest)).toBe(false);
      expect(await metadata.blob("a", digest)).toBeUndefined();
    });

    test("a manifest needs its blobs and manifests; without one nothing is recorded", async () => {
      const blob = sha256("needed");
      const child = manifestOf("m", "child");
      const parent = manifestOf("m", "parent", {
        blobs: [blob],
        manifests: [child.manifest.digest],
        tags: ["t"],
      });
      expect(await metadata.putManifest(parent, 5, false)).toEqual([blob, child.manifest.digest]);
      expect(await metadata.manifest("m", { tag: "t" })).toBeUndefined();
      await link(metadata, "m", blob);
      expect(await metadata.putManifest(child, 5, false)).toEqual([]);
      expect(await metadata.putManifest(parent, 6, false)).toEqual([]);
      expect((await metadata.blob("m", blob))?.touchedMs).toBe(6);
      const found = await metadata.manifest("m", { tag: "t" });
      expect(found?.digest).toBe(parent.manifest.digest);
      expect(Buffer.from(found?.bytes ?? []).toString()).toBe("parent");
      expect(
        await metadata.putManifest(manifestOf("m", "sparse", { blobs: [sha256("no")] }), 7, true),
      ).toEqual([]);
    });

    test("manifests of many parts, of any bytes, twice", async () => {
      const blobs = Array.from({ length: 333 }, (_, i) => sha256(`part ${i}`));
      for (const digest of blobs) await link(metadata, "many", digest);
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const manifest = { digest: sha256(bytes), mediaType, bytes };
      const push = manifestOf("many", "", { manifest, blobs: [...blobs, ...blobs], tags: ["x", "y"] });
      expect(await metadata.putManifest(push, 1, false)).toEqual([]);
      expect(await metadata.putManifest(push, 2, false)).toEqual([]);
      expect(Uint8Array.from((await metadata.manifest("many", manifest.digest))?.bytes ?? [])).toEqual(bytes);
    });

    test("tags and repositories are listed by their bytes, in pages", async () => {
      const tags = ["a", "B", "_z", "b-1", "b.1", "1", "Z", "b"];
      await metadata.putManifest(manifestOf("list/one", "x", { tags }), 1, false);
      const sorted = tags.toSorted();
      expect(await metadata.tags("list/one", { limit: 100 })).toEqual(sorted);
      expect(await metadata.tags("list/one", { limit: 3, after: "B" })).toEqual(sorted.slice(2, 5));
      for (const name of ["list-a", "list/a-b", "list/a/b", "list.a"])
        await metadata.putManifest(manifestOf(name, "x"), 1, false);
      const names = (await metadata.repositories({ limit: 100 })).filter((one) => one.startsWith("list"));
      expect(names).toEqual(["list-a", "list.a", "list/a-b", "list/a/b", "list/one"]);
    });

    test("deleting a tag leaves the manifest, deleting the manifest takes its tags", async () => {
      const push = manifestOf("del", "x", { tags: ["one", "two"] });
      const { digest } = push.manifest;
      await metadata.putManifest(push, 1, false);
      expect(await metadata.deleteTag("del", "one")).toBe(digest);
      expect(await metadata.deleteTag("del", "one")).toBeUndefined();
      expect((await metadata.manifest("del", digest))?.digest).toBe(digest);
      expect(await metadata.deleteManifest("del", digest)).toEqual(["two"]);
      expect(await metadata.deleteManifest("del", digest)).toBeUndefined();
      expect(await metadata.tags("del", { limit: 9 })).toEqual([]);
      expect(await metadata.hasRepository("del")).toBe(true);
    });

    test("referrers by subject and type, in pages", async () => {
      const subject = sha256("subject");
      const texts = ["r1", "r2", "r3"];
      for (const text of texts) {
        const artifactType = text === "r3" ? undefined : `application/${text}`;
        await metadata.putManifest(
          manifestOf("ref", text, { subject, artifactType, annotations: { text } }),
          1,
          false,
        );
      }
      const all = await metadata.referrers("ref", subject, { limit: 9 });
      expect(all.map(({ digest }) => digest)).toEqual(texts.map((text) => sha256(text)).toSorted());
      const r1 = await metadata.referrers("ref", subject, { limit: 9, artifactType: "application/r1" });
      expect(r1).toEqual([
        {
          mediaType,
          digest: sha256("r1"),
          size: 2,
          artifactType: "application/r1",
          annotations: { text: "r1" },
        },
      ]);
      expect(await metadata.referrers("ref", subject, { limit: 2, after: all[0]?.digest })).toEqual(
        all.slice(1),
      );
      expect(await metadata.referrers("other", subject, { limit: 2 })).toEqual([]);
    });

    test("uploads belong to a repository and grow stale", async () => {
      await metadata.beginUpload("u1", "up", 10);
      await metadata.beginUpload("u2", "up", 20);
      await metadata.beginUpload("u3", "up/other", 90);
      expect(await metadata.openUploads("up")).toEqual({ own: 2, all: 3 });
      expect(await metadata.touchUpload("u1", "elsewhere", 30)).toBe(false);
      expect(await metadata.touchUpload("u1", "up", 30)).toBe(true);
      expect(await metadata.staleUploads(25, 9)).toEqual(["u2"]);
      await metadata.endUpload("u2");
      expect(await metadata.touchUpload("u2", "up", 30)).toBe(false);
    });

    test("pushes at once lose nothing", async () => {
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const blob = sha256(`at once ${i % 5}`);
          await link(metadata, "once", blob);
          await metadata.putManifest(
            manifestOf("once", `m${i}`, { blobs: [blob], tags: [`t${i}`] }),
            i,
            false,
          );
        }),
      );
      expect(await metadata.tags("once", { limit: 99 })).toHaveLength(20);
    });

    test("a transaction that fails leaves nothing, and others wait for one that runs", async () => {
      const first = sql.transaction(async (tx) => {
        await tx.query("INSERT INTO repository VALUES ('half', 1)");
        await Bun.sleep(5);
        throw new Error("no");
      });
      const second = metadata.beginUpload("beside", "up", 1);
      await expect(first).rejects.toThrow("no");
      await second;
      expect(await metadata.hasRepository("half")).toBe(false);
      expect(await metadata.touchUpload("beside", "up", 1)).toBe(true);
    });
  });
}
