import { describe, expect, test } from "bun:test";
import { decodeMessage, encodeCall, messageLength, messageTypes, splitType } from "./dbus-wire.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

/** Made by jeepney 0.8.0, a D-Bus library for Python. */
const fixtures = {
  start:
    "6c0100010801000005000000b600000001016f00190000002f6f72672f667265656465736b746f702f73797374656d64310000000000000002017300200000006f72672e667265656465736b746f702e73797374656d64312e4d616e616765720000000000000000030173001200000053746172745472616e7369656e74556e697400000000000006017300180000006f72672e667265656465736b746f702e73797374656d6431000000000000000008016700107373612873762961287361287376292900000007000000612e73636f706500070000007265706c61636500e4000000000000000800000044656c65676174650001620001000000000000000400000050494473000261750000000008000000070000000800000000000000090000004d656d6f72794d61780001740000000000000000ffffffffffffffff0b000000446576696365416c6c6f770005612873732900001700000000000000090000002f6465762f6e756c6c000000020000007277000001000000580002617900000002000000018000000000000001000000450005612873732900000000000000000000000001000000440001640000000000000000000000000000f83f010000004e00016e0000feff00000000",
  subscribe:
    "6c01000100000000010000009100000001016f00190000002f6f72672f667265656465736b746f702f73797374656d64310000000000000002017300200000006f72672e667265656465736b746f702e73797374656d64312e4d616e61676572000000000000000003017300090000005375627363726962650000000000000006017300180000006f72672e667265656465736b746f702e73797374656d64310000000000000000",
  signal:
    "6c04000129000000090000007a00000001016f00190000002f6f72672f667265656465736b746f702f73797374656d64310000000000000002017300200000006f72672e667265656465736b746f702e73797374656d64312e4d616e616765720000000000000000030173000a0000004a6f6252656d6f7665640000000000000801670004756f73730000000000000003000000040000002f6a2f330000000008000000c3bc2e73636f70650000000004000000646f6e6500",
} as const;

const manager = {
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
  destination: "org.freedesktop.systemd1",
} as const;

describe("the wire format is that of another library", () => {
  test("a call with nested variants, arrays and paddings", () => {
    const call = encodeCall(5, {
      ...manager,
      member: "StartTransientUnit",
      signature: "ssa(sv)a(sa(sv))",
      body: [
        "a.scope",
        "replace",
        [
          ["Delegate", { signature: "b", value: true }],
          ["PIDs", { signature: "au", value: [7, 8] }],
          ["MemoryMax", { signature: "t", value: 2n ** 64n - 1n }],
          ["DeviceAllow", { signature: "a(ss)", value: [["/dev/null", "rw"]] }],
          ["X", { signature: "ay", value: [1, 128] }],
          ["E", { signature: "a(ss)", value: [] }],
          ["D", { signature: "d", value: 1.5 }],
          ["N", { signature: "n", value: -2 }],
        ],
        [],
      ],
    });
    expect(hex(call)).toBe(fixtures.start);
  });

  test("a call without a body", () => {
    expect(hex(encodeCall(1, { ...manager, member: "Subscribe" }))).toBe(fixtures.subscribe);
  });

  test("a signal is read", () => {
    expect(decodeMessage(bytes(fixtures.signal))).toEqual({
      type: messageTypes.signal,
      replySerial: 0,
      member: "JobRemoved",
      errorName: "",
      body: [3, "/j/3", "ü.scope", "done"],
    });
  });

  test("what was written is read", () => {
    const { body } = decodeMessage(bytes(fixtures.start));
    expect(body.slice(0, 2)).toEqual(["a.scope", "replace"]);
    expect(body[2]).toContainEqual(["MemoryMax", { signature: "t", value: 2n ** 64n - 1n }]);
  });
});

test("a stream is cut into messages", () => {
  const all = bytes(fixtures.signal);
  expect(messageLength(all.subarray(0, 15))).toBeUndefined();
  expect(messageLength(all)).toBe(all.length);
});

test.each([
  ["big-endian", "42", "little-endian"],
  ["a megabyte and more", "6c04000100000010090000007a000000", "bytes"],
])("%s is refused", (_, start, words) => {
  expect(() => messageLength(bytes(start.padEnd(32, "0")))).toThrow(words);
});

test("a message that is cut or lies about its lengths throws, and does not hang", () => {
  const all = bytes(fixtures.start);
  for (let length = 1; length < all.length; length += 7)
    expect(() => decodeMessage(all.slice(0, length))).toThrow();
  for (let at = 16; at < all.length; at++) {
    const bent = all.slice();
    bent[at] = 0xff;
    try {
      decodeMessage(bent);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
  }
});

test.each([
  ["a(sv)u", "a(sv)", "u"],
  ["a{sa(ss)}s", "a{sa(ss)}", "s"],
  ["aayv", "aay", "v"],
])("the first type of %s is %s", (signature, type, rest) => {
  expect(splitType(signature)).toEqual([type, rest]);
});
