import { expect, test } from "bun:test";
import { parseBytes, parseDuration } from "./size-words.ts";

test.each([
  ["0", 0],
  ["512", 512],
  ["512b", 512],
  ["50M", 50 * 1024 ** 2],
  ["50mb", 50 * 1024 ** 2],
  ["1.5 GiB", 1.5 * 1024 ** 3],
  ["64kb", 65_536],
  ["2t", 2 * 1024 ** 4],
  ["1P", 1024 ** 5],
  ["0.1k", 102],
])("%p is %p bytes", (text, bytes) => expect(parseBytes(text)).toBe(bytes));

test.each([
  ["abc", "invalid size: 'abc'"],
  ["", "invalid size: ''"],
  ["-5", "invalid size: '-5'"],
  ["1.2.3", "invalid size: '1.2.3'"],
  ["5x", "invalid suffix: 'x'"],
  ["5bb", "invalid suffix: 'bb'"],
  ["5kib8", "invalid size: '5kib8'"],
])("%p is refused: %s", (text, words) => expect(() => parseBytes(text)).toThrow(words));

test.each([
  ["5s", 5000],
  ["100ms", 100],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  ["0", 0],
  ["-2s", -2000],
  ["250us", 0.25],
  ["5", undefined],
  ["", undefined],
  ["x", undefined],
  ["5 s", undefined],
])("the duration %p is %p ms", (text, ms) => expect(parseDuration(text)).toBe(ms));
