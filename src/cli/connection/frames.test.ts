import { expect, test } from "bun:test";
import { encodeFrame, encodeResize, encodeSignal, FrameDecoder, frameType } from "./frames.ts";

test("frames come out whole however the stream is cut", () => {
  const stream = Buffer.concat([
    encodeFrame(frameType.created, Buffer.from('{"Id":"x"}')),
    encodeFrame(frameType.stdout, Buffer.from("hello")),
    encodeFrame(frameType.exit, new Uint8Array()),
  ]);
  for (let size = 1; size <= stream.length; size++) {
    const decoder = new FrameDecoder();
    const texts = new Map<number, string>();
    for (let at = 0; at < stream.length; at += size) {
      for (const { type, bytes } of decoder.push(stream.subarray(at, at + size))) {
        texts.set(type, (texts.get(type) ?? "") + Buffer.from(bytes).toString());
      }
    }
    expect([...texts]).toEqual([
      [frameType.created, '{"Id":"x"}'],
      [frameType.stdout, "hello"],
      [frameType.exit, ""],
    ]);
  }
});

test("output of any length is handed on at once, other frames are bounded", () => {
  const head = Buffer.from([1, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
  expect(new FrameDecoder().push(Buffer.concat([head, Buffer.from("ab")]))).toHaveLength(1);
  expect(() => new FrameDecoder().push(Buffer.from([35, 0, 0, 0, 0x7f, 0, 0, 0]))).toThrow("bytes");
});

test("what is no frame is refused", () => {
  expect(() => new FrameDecoder().push(Buffer.from("HTTP/1.1"))).toThrow("no frame");
});

test("payload integers are little-endian, the length is big-endian", () => {
  expect([...encodeResize(24, 300)]).toEqual([19, 0, 0, 0, 0, 0, 0, 4, 24, 0, 44, 1]);
  expect([...encodeSignal(15)]).toEqual([20, 0, 0, 0, 0, 0, 0, 4, 15, 0, 0, 0]);
});
