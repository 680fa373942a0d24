import { describe, expect, test } from "bun:test";
import { type Digest, sha256 } from "../lib/index.ts";
import { type Descriptor, mediaTypes, type RawManifest } from "./manifest.ts";
import { walkIndex, type WalkOptions } from "./walk-index.ts";

const raw = (document: object): RawManifest => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }));
  return { digest: sha256(bytes), mediaType: mediaTypes.ociIndex, bytes };
};
const descriptorOf = ({ digest, mediaType, bytes }: RawManifest): Descriptor => ({
  digest,
  mediaType,
  size: bytes.length,
});
const indexOf = (...children: readonly RawManifest[]): RawManifest =>
  raw({ mediaType: mediaTypes.ociIndex, manifests: children.map(descriptorOf) });
const imageOf = (name: string): RawManifest => {
  const blob = { mediaType: mediaTypes.ociConfig, digest: sha256(name), size: 1 };
  return {
    ...raw({ mediaType: mediaTypes.ociManifest, config: blob, layers: [] }),
    mediaType: mediaTypes.ociManifest,
  };
};

/** A source that has these manifests. */
function from(...all: readonly RawManifest[]): WalkOptions & { readonly fetched: string[] } {
  const byDigest = new Map<Digest, RawManifest>(all.map((one) => [one.digest, one]));
  const fetched: string[] = [];
  const fetch = (descriptor: Descriptor): Promise<RawManifest> => {
    fetched.push(descriptor.digest);
    const found = byDigest.get(descriptor.digest);
    return found === undefined ? Promise.reject(new Error("not there")) : Promise.resolve(found);
  };
  return { fetch, fetched };
}

async function walk(root: RawManifest, options: WalkOptions): Promise<[Digest, number][]> {
  const found: [Digest, number][] = [];
  for await (const { raw: one, depth } of walkIndex(root, options)) found.push([one.digest, depth]);
  return found;
}

describe("walkIndex", () => {
  test("what is in an index comes before it, and each once", async () => {
    const [a, b] = [imageOf("a"), imageOf("b")];
    const inner = indexOf(b, a);
    const outer = indexOf(a, inner, b);
    const source = from(a, b, inner);
    expect(await walk(outer, source)).toEqual([
      [a.digest, 1],
      [b.digest, 2],
      [inner.digest, 1],
      [outer.digest, 0],
    ]);
    expect(source.fetched).toHaveLength(3);
    expect(await walk(a, source)).toEqual([[a.digest, 0]]);
  });

  test("goes only where it is told to, and passes over what is no manifest", async () => {
    const [a, b] = [imageOf("a"), imageOf("b")];
    const other = { ...raw({}), mediaType: "application/x" };
    const outer = indexOf(a, other, b);
    const choose = (_: RawManifest, manifests: readonly Descriptor[]): readonly Descriptor[] =>
      manifests.slice(1);
    expect(await walk(outer, { ...from(a, b), choose })).toEqual([
      [b.digest, 1],
      [outer.digest, 0],
    ]);
  });

  test("an index of 10,000 indexes in one another is refused after a few", async () => {
    const chain = [imageOf("bottom")];
    for (let i = 0; i < 10_000; i++) chain.push(indexOf(chain.at(-1) ?? imageOf("")));
    const top = chain.at(-1) ?? imageOf("");
    const source = from(...chain);
    await expect(walk(top, source)).rejects.toThrow("is nested more than 8 levels deep");
    expect(source.fetched.length).toBeLessThan(10);
  });

  test("a cycle, which only a source that does not check digests can have", async () => {
    const a = { ...indexOf(imageOf("x")), digest: sha256("a") };
    const b = { ...indexOf(a), digest: sha256("b") };
    const closed = { ...indexOf(b), digest: a.digest };
    await expect(walk(closed, from(closed, b))).rejects.toThrow("holds itself: it is cyclic");
    const own = { ...indexOf({ ...a, digest: sha256("own") }), digest: sha256("own") };
    await expect(walk(own, from(own))).rejects.toThrow("holds itself: it is cyclic");
  });

  test("more manifests than anybody has", async () => {
    const images = Array.from({ length: 10_001 }, (_, i) => imageOf(String(i)));
    await expect(walk(indexOf(...images), from(...images))).rejects.toThrow("has more than 10000 manifests");
  });
});
