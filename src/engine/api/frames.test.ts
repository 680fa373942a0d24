import { expect, test } from "bun:test";
import { ClientFrames, frameType } from "./frames.ts";
import { frame } from "./hijack.ts";

test("frames come out whole however the stream is cut", () => {
  const stream = Buffer.concat([
    frame(frameType.run, Buffer.from("{}")),
    frame(frameType.stdin, Buffer.from("hello")),
    frame(frameType.stdin, new Uint8Array()),
  ]);
  for (let size = 1; size <= stream.length; size++) {
    const frames = new ClientFrames();
    const got: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      for (const { type, payload } of frames.push(stream.subarray(at, at + size)))
        got.push(`${type}:${payload.toString()}`);
    }
    expect(got).toEqual(["32:{}", "0:hello", "0:"]);
  }
});

test.each([
  ["no frame", Buffer.from("GET / HTTP"), "no frame"],
  ["too long a run", Buffer.from([32, 0, 0, 0, 0x7f, 0, 0, 0]), "frame of 2130706432 bytes"],
  ["too long an input", Buffer.from([0, 0, 0, 0, 0, 0x20, 0, 0]), "frame of 2097152 bytes"],
])("%s is refused", (_, bytes, message) => {
  expect(() => new ClientFrames().push(bytes)).toThrow(message);
});

test("the header has the stream's number first and the length last", () => {
  expect([...frame(2, Buffer.from("ab"))]).toEqual([2, 0, 0, 0, 0, 0, 0, 2, 97, 98]);
});
