import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { GantryError } from "../lib/index.ts";
import { compress, type CompressOptions } from "./compress.ts";
import { decompress } from "./compression.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

type Kind = "gzip" | "zstd" | "none";
const packed = (bytes: Uint8Array, kind: Kind, options?: CompressOptions, size = 65536): Promise<Buffer> =>
  all(compress(pieces(bytes, size), kind, options));

// Three blocks of gzip and two of zstd, the last ones short.
const text = Buffer.from(
  Array.from({ length: 160_000 }, (_, i) => `line ${(i * 7919) % 65_537}\n`).join("") + "the end",
);

describe.each(["gzip", "zstd", "none"] as const)("%s", (kind) => {
  test("comes back as it was, whatever the pieces", async () => {
    for (const size of [997, 65_536, text.length]) {
      const bytes = await packed(text, kind, {}, size);
      expect((await all(decompress(pieces(bytes, 70_001), { maxBytes: 1e9 }))).equals(text)).toBe(true);
    }
  });

  test("the same bytes give the same bytes", async () => {
    expect((await packed(text, kind, {}, 10_000)).equals(await packed(text, kind, {}, 1 << 20))).toBe(true);
  });

  test("nothing is a stream, too", async () => {
    const bytes = await packed(Buffer.alloc(0), kind);
    expect(bytes.length > 0).toBe(kind !== "none");
    expect((await all(decompress(pieces(bytes, 5), { maxBytes: 10 }))).length).toBe(0);
  });

  test("a failing source and an abort are told, and nothing runs on", async () => {
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array, void, void> {
      try {
        for (let i = 0; i < 100; i++) yield text;
        throw new GantryError("unavailable", "the disk went away");
      } finally {
        closed = true;
      }
    }
    const failed = all(compress(source(), kind, { level: kind === "none" ? undefined : 1 }));
    expect(failed).rejects.toThrow("the disk went away");
    await failed.catch(() => undefined);
    expect(closed).toBe(true);
    closed = false;
    const signal = AbortSignal.abort(new GantryError("canceled", "the client went away"));
    expect(all(compress(source(), kind, { signal }))).rejects.toThrow("the client went away");
    await Bun.sleep(1);
    expect(closed).toBe(true);
  });
});

test("gzip and zstd of this machine read them, and Node's one-shot", async () => {
  const gz = await packed(text, "gzip");
  expect(gunzipSync(gz).equals(text)).toBe(true);
  // Neither a time nor a name.
  expect(gz.subarray(0, 8)).toEqual(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]));
  const outside = spawnSync("gzip", ["-dc"], { input: gz, maxBuffer: 1 << 27 });
  expect([outside.status, outside.stdout.equals(text)]).toEqual([0, true]);
  expect(spawnSync("gzip", ["-t"], { input: gz }).status).toBe(0);
});

test("levels", async () => {
  const [fast, best] = [await packed(text, "gzip", { level: 1 }), await packed(text, "gzip", { level: 9 })];
  expect(best.length).toBeLessThan(fast.length);
  for (const [kind, level] of [
    ["gzip", 0],
    ["gzip", 10],
    ["gzip", 1.5],
    ["zstd", 20],
  ] as const) {
    await expect(packed(text, kind, { level })).rejects.toThrow(`invalid compression level ${level}`);
  }
});

test("any bytes, in any pieces", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 5000 }),
      fc.integer({ min: 1, max: 6000 }),
      fc.constantFrom<Kind>("gzip", "zstd"),
      async (bytes, size, kind) => {
        const back = await all(
          decompress(pieces(await packed(bytes, kind, {}, size), size), { maxBytes: 1e6 }),
        );
        return back.equals(bytes);
      },
    ),
    { numRuns: 60 },
  );
});
