import { expect, test } from "bun:test";
import { boundedStream, LineWriter } from "./log-sink.ts";

/** A disk with so many bytes of room. */
class Disk {
  room: number;
  text = "";

  constructor(room: number) {
    this.room = room;
  }

  readonly write = (bytes: Uint8Array): number => {
    if (this.room === 0) throw new Error("no space left on device");
    const part = bytes.subarray(0, this.room);
    this.room -= part.length;
    this.text += Buffer.from(part).toString();
    return part.length;
  };
}

function writerOn(disk: Disk, told: string[]): LineWriter {
  return new LineWriter({
    write: disk.write,
    lostLine: (lost) => `lost ${lost}\n`,
    onLoss: (reason) => told.push(reason),
  });
}

test("what finds no room is counted, told once, and a line that was cut short does not spoil the next", () => {
  const told: string[] = [];
  const disk = new Disk(10);
  const lines = writerOn(disk, told);
  expect(lines.write("first\n")).toBe(true);
  expect(lines.write("second\n")).toBe(false);
  expect(lines.write("third\n")).toBe(false);
  expect(told).toEqual(["no space left on device"]);
  disk.room = 100;
  expect(lines.write("fourth\n")).toBe(true);
  expect(lines.write("fifth\n")).toBe(true);
  expect(disk.text).toBe("first\nseco\nlost 2\nfourth\nfifth\n");
  disk.room = 0;
  lines.write("sixth\n");
  expect(told).toHaveLength(2);
});

test("pieces are put together", () => {
  let text = "";
  const lines = new LineWriter({
    write(bytes) {
      text += Buffer.from(bytes.subarray(0, 2)).toString();
      return Math.min(2, bytes.length);
    },
    lostLine: String,
  });
  expect(lines.write("a whole line\n")).toBe(true);
  expect(text).toBe("a whole line\n");
});

test("a reader that has stopped costs a bounded number of bytes, then lines", () => {
  const waiting: (() => void)[] = [];
  let text = "";
  const write = boundedStream({
    write(line, done) {
      text += line;
      waiting.push(done);
    },
    on: () => undefined,
  });
  const line = `${"x".repeat(1000)}\n`;
  for (let i = 0; i < 5000; i++) write(line);
  expect(text.length).toBeWithin(1 << 20, (1 << 20) + 3000);
  for (const done of waiting.splice(0)) done();
  write("again\n");
  expect(text).toMatch(/"event":"log\.lost","lines":3\d\d\d\}\nagain\n$/);
});
