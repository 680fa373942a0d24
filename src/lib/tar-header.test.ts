import { expect, test } from "bun:test";
import { parseHeader } from "./tar-header.ts";

test.each([
  ["text", Buffer.from("hello, world\n".repeat(40))],
  ["bytes that look like a number of base 256", Buffer.alloc(512, 0xff)],
])("what is no archive at all has a bad checksum: %s", (_, block) => {
  expect(() => parseHeader(block.subarray(0, 512))).toThrow("bad checksum in a tar header");
});
