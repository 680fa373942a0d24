/** Encoders against bytes worked out by hand from linux/rtnetlink.h, and the conversation against a scripted kernel. */
import { describe, expect, test } from "bun:test";

import { GantryError } from "../../lib/index.ts";
import type { Sys } from "../sys.ts";
import { concat, cString, u16, u32 } from "./bytes.ts";
import { ipv4Mask, ipv4Text, macText } from "./ipv4.ts";
import { attribute, attributesOf, message, nested, parseMessages } from "./message.ts";
import { Netlink } from "./netlink.ts";
import { route } from "./route.ts";

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Bytes written as groups, for reading. */
function bytes(...groups: readonly string[]): string {
  return groups.join("").replaceAll(" ", "");
}

const header = (length: string, type: string, flags: string): string =>
  `${length}000000${type}00${flags}0000000000000000`;

describe("rtnetlink requests", () => {
  test.each([
    [
      "a bridge with an address",
      route.createBridge("br0", "02:42:00:00:00:01"),
      bytes(
        header("44", "10", "0506"),
        "00 00 0000 00000000 00000000 00000000",
        "0800 0300 62723000",
        "0a00 0100 024200000001 0000",
        "1000 1280 0b00 0100 627269646765 00 00",
      ),
    ],
    [
      "a link comes up by name",
      route.linkUp("lo"),
      bytes(header("28", "10", "0500"), "00 00 0000 00000000 01000000 01000000", "0700 0300 6c6f00 00"),
    ],
    [
      "a link goes down by index",
      route.linkDown(7),
      bytes(header("20", "10", "0500"), "00 00 0000 07000000 00000000 01000000"),
    ],
    [
      "an address with its broadcast",
      route.addAddress(3, "10.9.0.1", 16),
      bytes(
        header("30", "14", "0506"),
        "02 10 00 00 03000000",
        "0800 0200 0a090001",
        "0800 0100 0a090001",
        "0800 0400 0a09ffff",
      ),
    ],
    [
      "the default route",
      route.addRoute("default", "10.9.0.1", 2),
      bytes(
        header("2c", "18", "0506"),
        "02 00 00 00 fe 03 00 01 00000000",
        "0800 0500 0a090001",
        "0800 0400 02000000",
      ),
    ],
    [
      "a route on the link",
      route.addRoute("10.8.0.0/16", undefined, 2),
      bytes(
        header("2c", "18", "0506"),
        "02 10 00 00 fe 03 fd 01 00000000",
        "0800 0100 0a080000",
        "0800 0400 02000000",
      ),
    ],
    [
      "a link leaves for a bridge",
      route.setMaster(5, 9),
      bytes(header("28", "13", "0500"), "00 00 0000 05000000 00000000 00000000", "0800 0a00 09000000"),
    ],
    [
      "a link without IPv6 addresses of its own",
      route.withoutLinkLocal(5),
      bytes(
        header("30", "13", "0500"),
        "00 00 0000 05000000 00000000 00000000",
        "1000 1a80",
        "0c00 0a80",
        "0500 0800 01 000000",
      ),
    ],
    ["all links", route.dumpLinks(), bytes(header("20", "12", "0103"), "00".repeat(16))],
  ])("%s", (_, got, want) => {
    expect(hex(got)).toBe(want);
  });

  test("veth: the pid is written at the offset, in the peer's attributes", () => {
    const { message: request, pidOffset } = route.createVethInto("gv0", "eth0", {
      hostIndex: 1000,
      peerIndex: 77,
      mac: "02:42:0a:09:00:02",
      mtu: 1400,
      master: 9,
      up: true,
    });
    new DataView(request.buffer).setUint32(pidOffset, 0x01020304, true);
    expect(hex(request)).toBe(
      bytes(
        header("88", "10", "0506"),
        "00 00 0000 e8030000 01000000 01000000",
        "0800 0300 67763000",
        "0800 0400 78050000",
        "0800 0a00 09000000",
        "5000 1280",
        "0900 0100 7665746800 000000",
        "4000 0280 3c00 0100",
        "00 00 0000 4d000000 00000000 00000000",
        "0900 0300 6574683000 000000",
        "0a00 0100 02420a090002 0000",
        "0800 0400 78050000",
        "0800 1300 04030201",
      ),
    );
  });

  test("without an index of its own the host's end gets one of its name, below 2^31", () => {
    const indexOf = (name: string): number => {
      const { message: request } = route.createVethInto(name, "eth0", { peerIndex: 2 });
      return new DataView(request.buffer).getUint32(20, true);
    };
    const seen = new Set(Array.from({ length: 1000 }, (_, i) => indexOf(`gv${i.toString(16)}`)));
    expect(seen.size).toBeGreaterThan(995);
    for (const index of seen) expect(index).toBeWithin(0x1000_0000, 0x8000_0000);
  });

  test.each(["", "a b", "a/b", "a:b", "..", "sixteen-letters-", "ä".repeat(8)])(
    "%p is no name for a link",
    (name) => {
      expect(() => route.linkUp(name)).toThrow(GantryError);
    },
  );

  test.each(["10.0.0", "10.0.0.256", "10.0.0.01", "10.0.0.1.2", " 10.0.0.1", "::1", ""])(
    "%p is no IPv4 address",
    (text) => {
      expect(() => route.addAddress(1, text, 8)).toThrow("is not an IPv4 address");
    },
  );

  test.each([
    [0, "0.0.0.0"],
    [1, "128.0.0.0"],
    [12, "255.240.0.0"],
    [24, "255.255.255.0"],
    [32, "255.255.255.255"],
  ] as const)("the mask of /%d", (length, want) => {
    expect(ipv4Text(ipv4Mask(length))).toBe(want);
  });

  test("mask and hardware address are checked", () => {
    expect(() => ipv4Mask(33)).toThrow("33 is not a prefix length");
    expect(() => route.createBridge("b", "02:42")).toThrow("is not a MAC address");
    expect(macText(Uint8Array.of(2, 0x42, 10, 0, 0, 255))).toBe("02:42:0a:00:00:ff");
  });
});

describe("messages and attributes", () => {
  test("what is written is read again", () => {
    const inner = [attribute(1, cString("x")), attribute(2, u16(7))];
    const buffer = concat([message(16, 5, [nested(3, inner)]), message(2, 0, [u32(0)])]);
    const [first, second] = parseMessages(buffer);
    expect(first?.type).toBe(16);
    const [[type, value] = [0, new Uint8Array()]] = attributesOf(first?.payload ?? new Uint8Array());
    expect(type).toBe(3);
    expect(Array.from(attributesOf(value), ([number, content]) => [number, hex(content)])).toEqual([
      [1, "7800"],
      [2, "0700"],
    ]);
    expect(second?.payload).toEqual(u32(0));
  });

  test("lengths that lead outside are refused", () => {
    const long = message(16, 0, [u32(0)]);
    long.set(u32(100));
    expect(() => parseMessages(long)).toThrow("a message of 100 bytes");
    expect(() => parseMessages(concat([u32(3), new Uint8Array(12)]))).toThrow("a message of 3 bytes");
    expect(() => [...attributesOf(concat([u16(9), u16(1), u32(0)]))]).toThrow("an attribute of 9 bytes");
    expect(() => [...attributesOf(concat([u16(0), u16(1)]))]).toThrow("an attribute of 0 bytes");
    expect(() => attribute(1, new Uint8Array(0xfffc))).toThrow("does not fit");
  });
});

/** A kernel that answers what the script says; `sequence` is that of the first message sent. */
function scripted(answer: (sequence: number) => Uint8Array[]): {
  netlink: Netlink;
  sent: Uint8Array[];
  acks: number[];
} {
  const [sent, acks]: [Uint8Array[], number[]] = [[], []];
  const double: Pick<Sys, "netlinkOpen" | "netlinkExchange" | "close"> = {
    netlinkOpen: () => 9,
    close: () => undefined,
    netlinkExchange: (_, request, expected) => {
      sent.push(request);
      acks.push(expected);
      return answer(new DataView(request.buffer, request.byteOffset).getUint32(8, true));
    },
  };
  return { netlink: new Netlink(double as Sys, 0), sent, acks };
}

function reply(type: number, flags: number, sequence: number, payload: Uint8Array): Uint8Array {
  const whole = message(type, flags, [payload]);
  whole.set(u32(sequence), 8);
  return whole;
}

const ack = (sequence: number, errno = 0, extra: Uint8Array = new Uint8Array(), flags = 0x100): Uint8Array =>
  reply(2, flags, sequence, concat([u32(-errno), new Uint8Array(16), extra]));

describe("the conversation", () => {
  test("messages go out one after the other, numbered, and acks are no replies", () => {
    const { netlink, sent, acks } = scripted((sequence) => [ack(sequence)]);
    expect(netlink.request([route.linkUp("a"), route.linkUp("b")])).toEqual([]);
    expect(sent.map((one) => new DataView(one.buffer).getUint32(8, true))).toEqual([1, 2]);
    expect(acks).toEqual([1, 1]);
  });

  test("a buffer of several messages is sent whole, its acks are counted", () => {
    const { netlink, sent, acks } = scripted((sequence) => [ack(sequence), ack(sequence + 1)]);
    netlink.request([concat([route.linkUp("a"), route.linkUp("b")])]);
    expect([sent.length, acks]).toEqual([1, [2]]);
  });

  test.each([
    [17, "conflict", "make a: exists already (EEXIST)"],
    [1, "denied", "make a: operation not permitted (EPERM)"],
    [2, "not-found", "make a: does not exist (ENOENT)"],
    [71, "internal", "make a: EPROTO"],
    [9999, "internal", "make a: errno 9999"],
  ] as const)("errno %d becomes %s", (errno, code, words) => {
    const { netlink, sent } = scripted((sequence) => [ack(sequence, errno)]);
    let thrown: unknown;
    try {
      netlink.request([{ message: route.linkUp("a"), description: "make a" }, route.linkUp("b")]);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code, message: words, fields: { index: 0 } });
    expect(sent).toHaveLength(1);
  });

  test("the kernel's own words are added, with and without the request echoed", () => {
    const words = attribute(1, cString("Invalid prefix"));
    const capped = scripted((sequence) => [ack(sequence, 22, words, 0x300)]).netlink;
    expect(() => capped.request([route.linkUp("a")])).toThrow("(EINVAL): Invalid prefix");
    const echoed = scripted((sequence) => {
      const request = route.linkUp("a");
      return [reply(2, 0x200, sequence, concat([u32(-22), request, words]))];
    }).netlink;
    expect(() => echoed.request([route.linkUp("a")])).toThrow("(EINVAL): Invalid prefix");
  });

  test("answers to an earlier request are passed over", () => {
    const { netlink } = scripted((sequence) => [ack(sequence - 1, 17), ack(sequence)]);
    expect(netlink.request([route.linkUp("a")])).toEqual([]);
  });

  test("a dump that was interrupted is asked again, but not for ever", () => {
    let left = 3;
    const again = scripted((sequence) => [
      reply(16, left-- > 0 ? 0x10 : 0, sequence, new Uint8Array(16)),
      reply(3, 0, sequence, u32(0)),
    ]);
    expect(again.netlink.request([route.dumpLinks()])).toHaveLength(1);
    expect(again.sent).toHaveLength(4);
    const never = scripted((sequence) => [reply(16, 0x10, sequence, new Uint8Array(16))]).netlink;
    expect(() => never.request([route.dumpLinks()])).toThrow("changed during each of 10 dumps");
  });

  test("a closed conversation says so; closing twice is fine", () => {
    const { netlink } = scripted(() => []);
    netlink.close();
    netlink.close();
    expect(() => netlink.request([route.linkUp("a")])).toThrow("the netlink socket is closed");
  });
});
