import { describe, expect, test } from "bun:test";
import {
  encodeFrame,
  FrameParser,
  frameType,
  helloFrame,
  maxFrameBytes,
  resizeFrame,
  signalFrame,
} from "./frames.ts";
import { parseStatus, readStatusFile } from "./status-file.ts";

function payload(size: number, fill: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  fill(new DataView(bytes.buffer));
  return bytes;
}

const started = encodeFrame(
  frameType.started,
  payload(16, (view) => {
    view.setInt32(0, 42, true);
    view.setBigUint64(4, 2n ** 53n + 1n, true);
    view.setInt32(12, 41, true);
  }),
);
const exited = encodeFrame(
  frameType.exited,
  payload(21, (view) => {
    view.setInt32(0, 137, true);
    view.setInt32(4, 9, true);
    view.setUint8(8, 1);
    view.setBigUint64(9, 1_700_000_000_123_456_789n, true);
    view.setUint32(17, 3, true);
  }),
);
const failed = encodeFrame(
  frameType.failed,
  payload(17, (view) => {
    view.setUint32(0, 5, true);
    view.setInt32(4, 13, true);
    view.setUint32(8, 4, true);
    for (const [index, char] of [..."open"].entries()) view.setUint8(12 + index, char.charCodeAt(0));
  }),
);

const want = [
  { type: "started", started: { pid: 42, startTime: "9007199254740993", monitorPid: 41 } },
  { type: "output", stream: 1, bytes: new TextEncoder().encode("hi") },
  { type: "failed", failed: { index: 5, errno: 13, context: "open" } },
  {
    type: "exited",
    exited: { exitCode: 137, signal: 9, oomKilled: true, atMs: 1_700_000_000_123, lostLogLines: 3 },
  },
] as const;
const wire = new Uint8Array([
  ...started,
  ...encodeFrame(1, new TextEncoder().encode("hi")),
  ...failed,
  ...exited,
]);

describe("FrameParser", () => {
  test.each([1, 2, 7, 8, 9, 33, wire.length])("frames arrive whole from pieces of %d bytes", (size) => {
    const parser = new FrameParser();
    const frames = [];
    for (let at = 0; at < wire.length; at += size) frames.push(...parser.push(wire.subarray(at, at + size)));
    expect(frames).toEqual([...want]);
  });

  test("a frame keeps its bytes when the buffer it came in is used again", () => {
    const chunk = encodeFrame(2, Uint8Array.of(1, 2, 3));
    const [frame] = new FrameParser().push(chunk);
    chunk.fill(0);
    expect(frame).toEqual({ type: "output", stream: 2, bytes: Uint8Array.of(1, 2, 3) });
  });

  test.each([
    { name: "an unknown type", bytes: encodeFrame(77) },
    { name: "a short STARTED", bytes: encodeFrame(16, new Uint8Array(4)) },
    { name: "a length over the limit", bytes: Uint8Array.of(1, 0, 0, 0, 0, 1, 0, 1) },
  ])("$name is refused as corrupt", ({ bytes }) => {
    expect(() => new FrameParser().push(bytes)).toThrow("not of its protocol");
  });

  test("the longest allowed frame passes", () => {
    expect(new FrameParser().push(encodeFrame(1, new Uint8Array(maxFrameBytes)))).toHaveLength(1);
  });

  test("a context whose length lies is cut to what is there", () => {
    const lying = payload(13, (view) => view.setUint32(8, 0xffff_ffff, true));
    const [frame] = new FrameParser().push(encodeFrame(frameType.failed, lying));
    expect(frame).toEqual({ type: "failed", failed: { index: 0, errno: 0, context: "\0" } });
  });
});

test("what is sent has Docker's header: type, three zeros, big-endian length", () => {
  expect([...resizeFrame(24, 70_000)]).toEqual([19, 0, 0, 0, 0, 0, 0, 4, 24, 0, 255, 255]);
  expect([...signalFrame(15)]).toEqual([20, 0, 0, 0, 0, 0, 0, 4, 15, 0, 0, 0]);
  expect([...helloFrame({ stdin: true, stdout: false, stderr: true }, true)]).toEqual([
    21, 0, 0, 0, 0, 0, 0, 2, 5, 1,
  ]);
  expect([...helloFrame(undefined, false)].slice(8)).toEqual([0, 0]);
});

test.each([
  [
    "running 42 9007199254740993 41\n",
    { state: "running", started: { pid: 42, startTime: "9007199254740993", monitorPid: 41 } },
  ],
  [
    "exited 137 9 1 1700000000123456789 3\n",
    {
      state: "exited",
      exited: { exitCode: 137, signal: 9, oomKilled: true, atMs: 1_700_000_000_123, lostLogLines: 3 },
    },
  ],
  ["failed 7 2\n", { state: "failed", index: 7, errno: 2 }],
] as const)("status file %j", (text, status) => {
  expect(parseStatus(text, "/x")).toEqual(status);
});

test.each(["", "running 1 2", "running a b c", "exited 1 2 3 4", "gone 1"])(
  "status file %j is refused",
  (text) => {
    expect(() => parseStatus(text, "/x/status")).toThrow("/x/status");
  },
);

test("a missing status file is no error", () => {
  expect(readStatusFile("/nonexistent/status")).toBeUndefined();
});
