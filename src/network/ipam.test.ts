import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GantryError } from "../lib/index.ts";
import { chooseAddresses, claimAddress, nextAddress, planAddresses } from "./ipam.ts";
import {
  broadcastOf,
  formatIpv4,
  formatSubnet,
  macOf,
  parseCidr,
  parseIpv4,
  parseMac,
  parseReverseName,
  subnetsOverlap,
  tryParseIpv4,
} from "./ipv4.ts";
import { isPool, subnetsOf } from "./pools.ts";

const subnet = (text: string) => parseCidr(text).subnet;
const request = (subnetText: string, gateway = "", range = "") => ({ subnet: subnetText, gateway, range });
const plan = (text: string, range = text) => ({
  subnet: subnet(text),
  gateway: subnet(text).base + 1,
  range: subnet(range),
});

function failure(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof GantryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
}

describe("ipv4", () => {
  test("formatting undoes parsing", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        (address) => tryParseIpv4(formatIpv4(address)) === address,
      ),
    );
  });

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.-4",
    "1.2.3.4 ",
    "a.b.c.d",
    "::1",
    "1..2.3",
  ])("%p is no address", (text) => {
    expect(tryParseIpv4(text)).toBeUndefined();
  });

  test.each(["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/ 8", "/8"])(
    "%p is no subnet",
    (text) => {
      expect(failure(() => parseCidr(text))).toStartWith("invalid: invalid CIDR address");
    },
  );

  test("the two ends of the address space", () => {
    expect(formatIpv4(broadcastOf(subnet("255.255.255.0/24")))).toBe("255.255.255.255");
    expect(formatIpv4(broadcastOf(subnet("0.0.0.0/0")))).toBe("255.255.255.255");
    expect(formatSubnet(parseCidr("10.88.3.4/16").subnet)).toBe("10.88.0.0/16");
  });

  test.each([
    ["10.88.0.0/16", "10.88.0.0/16", true],
    ["10.88.0.0/16", "10.88.4.0/24", true],
    ["10.0.0.0/8", "10.255.255.252/30", true],
    ["10.88.0.0/16", "10.89.0.0/16", false],
    ["0.0.0.0/0", "203.0.113.0/24", true],
  ])("%s and %s overlap: %p, both ways", (a, b, want) => {
    expect([subnetsOverlap(subnet(a), subnet(b)), subnetsOverlap(subnet(b), subnet(a))]).toEqual([
      want,
      want,
    ]);
  });

  test("hardware addresses", () => {
    expect(macOf(parseIpv4("10.88.0.2"))).toBe("02:42:0a:58:00:02");
    expect(parseMac("02-42-AC-11-00-0A")).toBe("02:42:ac:11:00:0a");
    for (const bad of ["", "02:42", "01:00:5e:00:00:01", "02:42:ac:11:00:0g"])
      expect(failure(() => parseMac(bad))).toStartWith("invalid: ");
  });

  test("names of reverse look-ups", () => {
    expect(parseReverseName("2.0.88.10.in-addr.arpa")).toBe(parseIpv4("10.88.0.2"));
    expect(parseReverseName("88.10.in-addr.arpa")).toBeUndefined();
    expect(parseReverseName("10.88.0.2")).toBeUndefined();
  });
});

describe("subnets", () => {
  test("pools are disjoint and in order", () => {
    const pools = [...subnetsOf([])];
    expect(pools.slice(0, 2).map(formatSubnet)).toEqual(["10.88.0.0/16", "10.89.0.0/16"]);
    for (const [i, pool] of pools.entries())
      if (i > 0) expect(subnetsOverlap(pool, pools[i - 1] ?? pool)).toBe(false);
  });

  test.each([
    [[], "10.88.0.0/16"],
    [["10.88.0.0/16"], "10.89.0.0/16"],
    [["10.88.200.0/24", "10.89.0.1/32"], "10.90.0.0/16"],
    [["10.0.0.0/8"], "192.168.128.0/24"],
    [["10.0.0.0/8", "192.168.128.0/22"], "192.168.132.0/24"],
  ])("with %p taken: %s", (taken, want) => {
    const chosen = chooseAddresses(taken.map(subnet));
    expect(formatSubnet(chosen.subnet)).toBe(want);
    expect(chosen.gateway).toBe(chosen.subnet.base + 1);
  });

  test("no pool left", () => {
    expect(failure(() => chooseAddresses([subnet("0.0.0.0/0")]))).toBe(
      "exhausted: all predefined address pools have been fully subnetted",
    );
  });

  test("what the user wishes", () => {
    expect(planAddresses(request("10.7.0.0/24", "10.7.0.254", "10.7.0.128/25"), [])).toEqual({
      subnet: subnet("10.7.0.0/24"),
      gateway: parseIpv4("10.7.0.254"),
      range: subnet("10.7.0.128/25"),
    });
  });

  test.each([
    [
      request("10.7.0.1/24"),
      "invalid: invalid network config: invalid subnet 10.7.0.1/24: it should be 10.7.0.0/24",
    ],
    [
      request("10.7.0.0/31"),
      "invalid: invalid network config: subnet 10.7.0.0/31 must be between /8 and /30",
    ],
    [request("8.0.0.0/7"), "invalid: invalid network config: subnet 8.0.0.0/7 must be between /8 and /30"],
    [
      request("127.0.0.0/8"),
      "invalid: invalid network config: subnet 127.0.0.0/8 is not one of unicast addresses",
    ],
    [
      request("224.1.0.0/16"),
      "invalid: invalid network config: subnet 224.1.0.0/16 is not one of unicast addresses",
    ],
    [request("nonsense"), 'invalid: invalid CIDR address: "nonsense"'],
    [request("", "10.7.0.1"), "invalid: invalid network config: a gateway or ip-range needs a subnet"],
    [
      request("10.7.0.0/24", "10.8.0.1"),
      "invalid: invalid network config: invalid gateway 10.8.0.1: parent subnet 10.7.0.0/24 doesn't contain this address",
    ],
    [
      request("10.7.0.0/24", "10.7.0.255"),
      "invalid: invalid network config: invalid gateway 10.7.0.255: parent subnet 10.7.0.0/24 doesn't contain this address",
    ],
    [
      request("10.7.0.0/24", "", "10.7.0.0/16"),
      "invalid: invalid network config: invalid ip-range 10.7.0.0/16: CIDR block is bigger than its parent subnet 10.7.0.0/24",
    ],
    [
      request("10.7.0.0/24", "", "10.8.0.0/25"),
      "invalid: invalid network config: invalid ip-range 10.8.0.0/25: parent subnet 10.7.0.0/24 doesn't contain ip-range",
    ],
    [
      request("10.88.4.0/24"),
      "denied: invalid pool request: Pool overlaps with other one on this address space",
    ],
  ])("%p is refused", (wish, want) => {
    expect(failure(() => planAddresses(wish, [subnet("10.88.0.0/16")]))).toBe(want);
  });
});

describe("addresses", () => {
  const used = (...texts: string[]) => new Set(texts.map(parseIpv4));

  test.each([
    ["first", plan("10.7.0.0/24"), used(), "10.7.0.2"],
    ["a gap", plan("10.7.0.0/24"), used("10.7.0.2", "10.7.0.4"), "10.7.0.3"],
    ["in the range", plan("10.7.0.0/24", "10.7.0.128/25"), used("10.7.0.128"), "10.7.0.129"],
    [
      "a range of the whole end leaves the broadcast address out",
      plan("10.7.0.0/24", "10.7.0.254/31"),
      used(),
      "10.7.0.254",
    ],
  ])("next: %s", (_name, addresses, taken, want) => {
    expect(formatIpv4(nextAddress(addresses, taken))).toBe(want);
  });

  test("a full network says so, and every address is given once", () => {
    const addresses = plan("10.7.0.0/28");
    const taken = new Set<number>();
    for (let i = 0; i < 13; i++) taken.add(nextAddress(addresses, taken));
    expect(taken.size).toBe(13);
    expect(failure(() => nextAddress(addresses, taken))).toStartWith(
      "exhausted: no available IPv4 addresses",
    );
  });

  test.each([
    ["10.7.0.9", "no error"],
    ["10.8.0.9", "invalid: no configured subnet or ip-range contain the IP address 10.8.0.9"],
    ["10.7.0.5", "denied: Address already in use: 10.7.0.5"],
    ["10.7.0.1", "denied: Address already in use: 10.7.0.1"],
    ["10.7.0.0", "denied: Address already in use: 10.7.0.0"],
    ["10.7.0.255", "denied: Address already in use: 10.7.0.255"],
    ["ten", 'invalid: invalid IPv4 address: "ten"'],
  ])("a wish for %s: %s", (wish, want) => {
    expect(failure(() => claimAddress(plan("10.7.0.0/24"), used("10.7.0.5"), wish))).toBe(want);
  });
});

describe("pools of the settings", () => {
  const chosen = (taken: readonly string[]): string =>
    formatSubnet(chooseAddresses(taken.map(subnet), [{ base: "10.50.0.0/16", size: 17 }]).subnet);

  test("subnets are taken from them in order, and from nowhere else", () => {
    expect(chosen([])).toBe("10.50.0.0/17");
    expect(chosen(["10.50.1.0/24"])).toBe("10.50.128.0/17");
    expect(failure(() => chosen(["10.50.0.0/16"]))).toContain("exhausted");
  });

  test.each([
    [{ base: "10.50.0.0/16", size: 24 }, true],
    [{ base: "10.50.0.1/16", size: 24 }, false],
    [{ base: "10.50.0.0/16", size: 15 }, false],
    [{ base: "10.50.0.0/16", size: 31 }, false],
    [{ base: "10.50.0.0", size: 24 }, false],
    [{ base: "fd00::/48", size: 64 }, false],
  ])("%o is a pool: %p", (pool, want) => expect(isPool(pool)).toBe(want));
});
