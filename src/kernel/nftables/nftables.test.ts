/** Encoders against bytes worked out by hand from linux/netfilter/nf_tables.h; test/system/nftables.test.ts asks nft(8). */
import { describe, expect, test } from "bun:test";

import { attributeMap, attributesOf, parseMessages } from "../netlink/message.ts";
import { nft } from "./nft.ts";
import { describeType } from "./values.ts";

const { key, selector, value } = nft;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
function packed(text: string): string {
  return text.replaceAll(/\s+/g, "");
}
function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes).replace(/\0$/, "");
}

/** The expressions of a rule as `name {type: hex}`. */
function expressionsOf(rule: Uint8Array): string[] {
  const [message] = parseMessages(rule);
  const list = attributeMap(message?.payload.subarray(4) ?? new Uint8Array()).get(4) ?? new Uint8Array();
  return Array.from(attributesOf(list), ([, expression]) => {
    const parts = attributeMap(expression);
    const fields = Array.from(
      attributesOf(parts.get(2) ?? new Uint8Array()),
      ([type, bytes]) => `${type}:${hex(bytes)}`,
    );
    return [text(parts.get(1)), ...fields].join(" ");
  });
}

function rule(...expressions: Parameters<typeof nft.addRule>[1]): string[] {
  return expressionsOf(nft.addRule({ table: "t", chain: "c" }, expressions));
}

/** An attribute with data in it: header of 4 bytes, then the value padded. */
function data(bytes: string): string {
  const length = bytes.length / 2;
  return `${(length + 4).toString(16).padStart(2, "0")}000100${bytes}${"00".repeat((4 - (length % 4)) % 4)}`;
}

describe("types and keys", () => {
  test.each([
    [["ipv4_addr"], 7, 4],
    [["ifname"], 41, 16],
    [["ipv4_addr", "inet_service"], (7 << 6) | 13, 8],
    [["ipv4_addr", "inet_proto", "inet_service"], (((7 << 6) | 12) << 6) | 13, 12],
    [["ifname", "ifname"], (41 << 6) | 41, 32],
  ] as const)("%p", (types, number, bytes) => {
    expect(describeType(types)).toMatchObject({ number, bytes });
  });

  test("parts are padded, a single one is not", () => {
    expect(hex(key(value.ipv4("1.2.3.4"), value.protocol("udp"), value.port(53)))).toBe(
      "01020304" + "11000000" + "00350000",
    );
    expect(hex(key(value.port(53)))).toBe("0035");
    expect(hex(value.interfaceName("br0"))).toBe(`627230${"00".repeat(13)}`);
  });

  test.each([
    [() => value.port(65_536), "65536 is not a port"],
    [() => value.port(-1), "-1 is not a port"],
    [() => value.port(1.5), "1.5 is not a port"],
    [() => value.interfaceName(""), "is not a name for a network interface"],
    [() => value.interfaceName("sixteen-letters-"), "is not a name for a network interface"],
  ])("%p is refused", (make, words) => {
    expect(make).toThrow(words);
  });
});

describe("messages", () => {
  test("a batch is begin, messages, end", () => {
    expect(hex(nft.batch([nft.addTable("gan")]))).toBe(
      packed(`
        14000000 1000 0100 00000000 00000000 0000000a
        1c000000 000a 0504 00000000 00000000 02000000 0800 0100 67616e00
        14000000 1100 0100 00000000 00000000 0000000a`),
    );
  });

  test("a base chain", () => {
    const base = { type: "nat", hook: "postrouting", priority: 100, policy: "accept" } as const;
    expect(hex(nft.addChain("t", "post", base))).toBe(
      packed(`
        4c000000 030a 0504 00000000 00000000 02000000
        0600 0100 7400 0000
        0900 0300 706f737400 000000
        1400 0480 0800 0100 00000004 0800 0200 00000064
        0800 0500 00000001
        0800 0700 6e617400`),
    );
  });

  test("a chain of dstnat has a negative priority", () => {
    const chain = nft.addChain("t", "p", { type: "nat", hook: "prerouting", priority: -100, policy: "drop" });
    expect(hex(chain)).toContain("ffffff9c");
    expect(hex(chain)).toContain("0800050000000000");
  });

  test("a verdict map has no length of values", () => {
    const [message] = parseMessages(nft.addMap({ table: "t", name: "m" }, ["ifname"], "verdict"));
    const attributes = attributeMap(message?.payload.subarray(4) ?? new Uint8Array());
    expect([3, 4, 5, 6, 7].map((type) => hex(attributes.get(type) ?? new Uint8Array()))).toEqual([
      "00000008",
      "00000029",
      "00000010",
      "ffffff00",
      "",
    ]);
  });

  test("sets of one batch have different ids", () => {
    const ids = ["ports", "anyports", "bridges", "subnets"].map((name) => {
      const [message] = parseMessages(nft.addSet({ table: "t", name }, ["ipv4_addr"]));
      return hex(attributeMap(message?.payload.subarray(4) ?? new Uint8Array()).get(10) ?? new Uint8Array());
    });
    expect(new Set(ids).size).toBe(4);
  });

  test("elements", () => {
    expect(
      hex(nft.addElements({ table: "t", name: "m" }, [{ key: value.port(80), value: "drop" }], "exclusive")),
    ).toBe(
      packed(`
        48000000 0c0a 0506 00000000 00000000 02000000
        0600 0100 7400 0000  0600 0200 6d00 0000
        2400 0380 2000 0180
        0c00 0180 0600 0100 0050 0000
        1000 0280 0c00 0280 0800 0100 00000000`),
    );
  });

  test("many elements are cut into messages that the 16 bit lengths can say, none is lost", () => {
    const elements = Array.from({ length: 5000 }, (_, port) => ({ key: value.port(port) }));
    const messages = parseMessages(nft.addElements({ table: "t", name: "s" }, elements));
    expect(messages.length).toBeGreaterThan(1);
    const counts = messages.map(
      ({ payload }) => [...attributesOf(attributeMap(payload.subarray(4)).get(3) ?? new Uint8Array())].length,
    );
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5000);
  });

  test("no element is no message", () => {
    expect(nft.addElements({ table: "t", name: "s" }, [])).toHaveLength(0);
  });
});

describe("rules", () => {
  test("dnat from a map: the key's parts lie in neighbouring words", () => {
    expect(rule(nft.dnatFromMap([selector.ipDaddr, selector.l4proto, selector.thDport], "ports"))).toEqual([
      "payload 1:00000001 2:00000001 3:00000010 4:00000004",
      "meta 1:00000009 2:00000010",
      "payload 1:0000000a 2:00000002 3:00000002 4:00000002",
      "lookup 1:706f72747300 2:00000001 3:00000001",
      "nat 1:00000001 2:00000002 3:00000001 5:00000009",
    ]);
  });

  test("a name takes four words", () => {
    expect(rule(nft.notInSet([selector.iifname, selector.oifname], "pairs"))).toEqual([
      "meta 1:00000001 2:00000006",
      "meta 1:00000002 2:00000007",
      "lookup 1:706169727300 2:00000001 5:00000001",
    ]);
  });

  test.each([
    [
      "subnet",
      nft.matchSubnet(selector.ipSaddr, "!=", { address: "10.9.7.7", prefixLength: 20 }),
      [
        "payload 1:00000001 2:00000001 3:0000000c 4:00000004",
        `bitwise 1:00000001 2:00000001 3:00000004 4:${data("fffff000")} 5:${data("00000000")}`,
        `cmp 1:00000001 2:00000001 3:${data("0a090000")}`,
      ],
    ],
    [
      "any bit",
      nft.matchAnyBit(selector.ctState, 6),
      [
        "ct 1:00000001 2:00000000",
        `bitwise 1:00000001 2:00000001 3:00000004 4:${data("06000000")} 5:${data("00000000")}`,
        `cmp 1:00000001 2:00000001 3:${data("00000000")}`,
      ],
    ],
    [
      "local",
      nft.match(selector.fibDaddrType, "==", nft.fibAddressType.local),
      ["fib 1:00000001 2:00000003 3:00000002", `cmp 1:00000001 2:00000000 3:${data("02000000")}`],
    ],
    [
      "vmap",
      nft.verdictFromMap([selector.iifname], "v"),
      ["meta 1:00000001 2:00000006", "lookup 1:7600 2:00000001 3:00000000"],
    ],
    ["masquerade", [nft.masquerade()], ["masq"]],
    ["counter", [nft.counter()], ["counter"]],
    ["accept", [nft.verdict("accept")], ["immediate 1:00000000 2:0c00028008000100" + "00000001"]],
    ["return", [nft.verdict("return")], ["immediate 1:00000000 2:0c00028008000100" + "fffffffb"]],
    [
      "jump",
      [nft.verdict({ jump: "x" })],
      ["immediate 1:00000000 2:14000280" + "08000100fffffffd" + "0600020078000000"],
    ],
    [
      "goto",
      [nft.verdict({ goto: "x" })],
      ["immediate 1:00000000 2:14000280" + "08000100fffffffc" + "0600020078000000"],
    ],
  ] as const)("%s", (_, expressions, want) => {
    expect(rule(expressions)).toEqual([...want]);
  });

  test("a comment is nft's user data", () => {
    const commented = nft.addRule({ table: "t", chain: "c", comment: "hi" }, [nft.counter()]);
    expect(hex(commented)).toContain(packed("0900 0700 00 03 686900"));
  });
});
