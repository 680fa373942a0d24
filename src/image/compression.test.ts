import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { GantryError } from "../lib/index.ts";
import { decompress, detectCompression, peek } from "./compression.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function inflate(bytes: Uint8Array, size = 1000, maxBytes = 1 << 30): Promise<string> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of decompress(pieces(bytes, size), { maxBytes })) chunks.push(chunk);
  } catch (error) {
    return error instanceof GantryError ? `${error.code}: ${error.message}` : `not ours: ${String(error)}`;
  }
  return Buffer.concat(chunks).toString();
}

const text = Array.from({ length: 5000 }, (_, i) => `line ${i * 7919}\n`).join("");
const gz = gzipSync(text);
const zst = zstdCompressSync(text);

describe("told by the first bytes", () => {
  test.each([
    ["plain", Buffer.from("./\0"), "none"],
    ["gzip", gz, "gzip"],
    ["zstd", zst, "zstd"],
    ["zstd behind a skippable frame", Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 0, 0]), "zstd"],
    ["empty", Buffer.alloc(0), "none"],
  ] as const)("%s", (_, bytes, want) => expect(detectCompression(bytes)).toBe(want));

  test.each([
    ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
    ["bzip2", [0x42, 0x5a, 0x68, 0x39]],
  ] as const)("%s is refused with the remedy", (name, magic) => {
    expect(() => detectCompression(new Uint8Array(magic))).toThrow(`compressed with ${name}`);
  });
});

describe("decompress", () => {
  test.each([13, 100_000])("plain, gzip, zstd and several members in pieces of %i", async (size) => {
    expect(await inflate(Buffer.from(text), size)).toBe(text);
    expect(await inflate(gz, size)).toBe(text);
    expect(await inflate(zst, size)).toBe(text);
    expect(await inflate(Buffer.concat([gz, gz]), size)).toBe(text + text);
    expect(await inflate(Buffer.concat([zst, zst]), size)).toBe(text + text);
    expect(await inflate(Buffer.alloc(0), size)).toBe("");
  });

  test("truncated and damaged gzip", async () => {
    expect(await inflate(gz.subarray(0, gz.length - 9))).toStartWith(
      "corrupt: the gzip data is damaged or truncated",
    );
    const bad = Buffer.from(gz);
    bad[gz.length >> 1] = (bad[gz.length >> 1] ?? 0) ^ 0xff;
    expect(await inflate(bad)).toStartWith("corrupt: the gzip data is damaged");
    expect(await inflate(Buffer.concat([gz, Buffer.from("garbage")]))).toStartWith("corrupt");
  });

  test("damaged zstd", async () => {
    const bad = Buffer.from(zst);
    for (let i = 10; i < 60; i++) bad[i] = 0xff;
    expect(await inflate(bad)).toStartWith("corrupt: the zstd data is damaged");
  });

  test.each([
    ["plain", Buffer.from(text)],
    ["gzip", gz],
    ["zstd", zst],
  ] as const)("%s beyond the limit", async (_, bytes) => {
    expect(await inflate(bytes, 1000, text.length - 1)).toStartWith("exhausted: no space left on device");
    expect(await inflate(bytes, 1000, text.length)).toBe(text);
  });

  test("a failing source keeps its own error, and an abandoned one is closed", async () => {
    let closed = false;
    async function* source(fails: boolean): AsyncGenerator<Uint8Array, void, void> {
      try {
        for (;;) {
          yield gz;
          if (fails) throw new GantryError("canceled", "the client went away");
        }
      } finally {
        closed = true;
      }
    }
    const read = async (): Promise<void> => {
      for await (const chunk of decompress(source(true), { maxBytes: 1e9 })) void chunk;
    };
    await expect(read()).rejects.toThrow("the client went away");
    await read().catch(() => undefined);
    expect(closed).toBe(true);
    closed = false;
    for await (const chunk of decompress(source(false), { maxBytes: 1e9 })) {
      void chunk;
      break;
    }
    await Bun.sleep(20);
    expect(closed).toBe(true);
  });
});

test("peek looks without taking", async () => {
  const { head, all } = await peek(pieces(Buffer.from("abcdefgh"), 3), 5);
  expect(Buffer.from(head).toString()).toBe("abcdef");
  const chunks: Uint8Array[] = [];
  for await (const chunk of all) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toBe("abcdefgh");
});
