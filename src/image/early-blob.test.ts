import { expect, test } from "bun:test";
import { sha256 } from "../lib/index.ts";
import { EarlyBlob } from "./early-blob.ts";
import type { BlobStream } from "./endpoint.ts";

const pieces = Array.from({ length: 20 }, (_, i) => Buffer.alloc(1_000, i));
const whole = Buffer.concat(pieces);
const blob = { mediaType: "application/octet-stream", digest: sha256(whole), size: whole.length };

/** A target that takes so many pieces before it fails. */
class Target implements BlobStream {
  readonly got: Uint8Array[] = [];
  readonly ends: string[] = [];
  readonly #most: number;
  readonly #keeps: boolean;

  constructor(most = Infinity, keeps = true) {
    this.#most = most;
    this.#keeps = keeps;
  }

  async send(bytes: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of bytes) {
      if (this.got.length === this.#most) throw new Error("cut");
      this.got.push(piece);
    }
  }

  async keep(): Promise<void> {
    this.ends.push("keep");
    if (!this.#keeps) throw new Error("refused");
  }

  async drop(): Promise<void> {
    this.ends.push("drop");
  }
}

async function make(early: EarlyBlob, source: Iterable<Uint8Array> = pieces): Promise<Buffer> {
  async function* all(): AsyncGenerator<Uint8Array, void, void> {
    yield* source;
  }
  return Buffer.concat(await Array.fromAsync(early.tee(all())));
}

test("the target gets what the store gets", async () => {
  const target = new Target();
  const early = new EarlyBlob(target);
  expect((await make(early)).equals(whole)).toBe(true);
  await early.keep(blob);
  expect([Buffer.concat(target.got).equals(whole), target.ends]).toEqual([true, ["keep"]]);
});

test.each([0, 1, 19])(
  "a target that fails after %d pieces neither stops nor slows the store",
  async (most) => {
    const target = new Target(most);
    const early = new EarlyBlob(target);
    expect((await make(early)).equals(whole)).toBe(true);
    await early.keep(blob);
    expect(target.ends).toEqual(["drop"]);
  },
);

test("a target that refuses the whole in the end", async () => {
  const target = new Target(Infinity, false);
  const early = new EarlyBlob(target);
  await make(early);
  await early.keep(blob);
  expect(target.ends).toEqual(["keep", "drop"]);
});

test("half a blob never looks like a whole one", async () => {
  function* broken(): Generator<Uint8Array> {
    yield* pieces.slice(0, 5);
    throw new Error("the disk went away");
  }
  const target = new Target();
  const early = new EarlyBlob(target);
  await expect(make(early, broken())).rejects.toThrow("the disk went away");
  await early.drop();
  expect([target.got.length, target.ends]).toEqual([5, ["drop"]]);
});
