import { expect, test } from "bun:test";
import { type Digest, sha256 } from "../lib/index.ts";
import { Holds } from "./holds.ts";

test("what is held by anyone stays; what the last one lets go of is told, once", () => {
  const released: Digest[][] = [];
  const image = sha256("image");
  const layer = sha256("layer");
  const holds = new Holds(
    (id) => (id === image ? { image, layer } : { image: undefined, layer }),
    (layers) => released.push([...layers]),
  );
  const a = holds.create();
  const b = holds.create();
  a.keep(image);
  b.keep(layer);
  b.keep(layer);
  expect([holds.has(image), holds.has(layer)]).toEqual([true, true]);
  a.release();
  a.release();
  expect([holds.has(image), holds.has(layer)]).toEqual([false, true]);
  {
    using again = b;
    again.keep(layer);
  }
  expect(holds.has(layer)).toBe(false);
  expect(released).toEqual([[layer], [layer, layer, layer]]);
  holds.create().release();
  expect(released).toHaveLength(2);
});
