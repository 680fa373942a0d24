import { describe, expect, test } from "bun:test";
import { decode, encode, type RecordType } from "dns-packet";
import fc from "fast-check";
import { parseIpv4 } from "../ipv4.ts";
import type { Endpoint } from "../types.ts";
import { decide, noSuchName, serverFailure } from "./answer.ts";
import { framed, MessageReader } from "./message-reader.ts";
import { zoneOf } from "./zone.ts";

const endpoint = (name: string, ip: string, aliases: string[] = []): Endpoint => ({
  containerId: name.charCodeAt(0).toString(16).padStart(12, "a").padEnd(64, "0"),
  name,
  networkName: "Back",
  networkId: "n",
  ip,
  prefixLength: 24,
  gateway: "10.7.0.1",
  mac: "",
  aliases,
  ports: [],
});
const zone = zoneOf("Back", "10.7.0.0/24", [
  endpoint("Web", "10.7.0.2", ["www", "DB"]),
  endpoint("db", "10.7.0.3"),
  endpoint("x", "10.7.0.4", ["www", "www"]),
]);
const query = (name: string, type: RecordType = "A", over: object = {}) =>
  encode({ type: "query", id: 77, flags: 0x100, questions: [{ name, type }], ...over });

function answer(message: Uint8Array): string {
  const decision = decide(zone, message);
  if (decision.kind !== "answer") return decision.kind;
  const packet = decode(Buffer.from(decision.bytes));
  expect(packet.id).toBe(77);
  expect(packet.type).toBe("response");
  const data = (packet.answers ?? []).map((item) =>
    "data" in item ? `${item.type} ${String(item.data)}` : item.type,
  );
  return [(packet.flags ?? 0) & 15, ...data].join(" ");
}

describe("a network's names", () => {
  test.each([
    ["web", "A", "0 A 10.7.0.2"],
    ["WEB", "A", "0 A 10.7.0.2"],
    ["web.back", "A", "0 A 10.7.0.2"],
    ["web.other", "A", "forward"],
    ["aaaaaaaaaa57", "A", "0 A 10.7.0.2"],
    ["www", "A", "0 A 10.7.0.2 A 10.7.0.4"],
    // A name wins over another container's alias.
    ["db", "A", "0 A 10.7.0.3"],
    ["web", "AAAA", "0"],
    ["web", "TXT", "0"],
    ["example.org", "A", "forward"],
    ["2.0.7.10.in-addr.arpa", "PTR", "0 PTR Web.Back"],
    ["9.0.7.10.in-addr.arpa", "PTR", "3"],
    ["2.0.8.10.in-addr.arpa", "PTR", "forward"],
    ["", "A", "forward"],
  ] as const)("%s %s: %s", (name, type, want) => {
    expect(answer(query(name, type))).toBe(want);
  });

  test("what is no question is ignored", () => {
    expect(answer(new Uint8Array(0))).toBe("ignore");
    expect(answer(query("web").subarray(0, 16))).toBe("ignore");
    expect(answer(query("web", "A", { type: "response" }))).toBe("ignore");
    expect(answer(encode({ type: "query", id: 77, questions: [] }))).toBe("ignore");
    expect(
      answer(
        encode({
          type: "query",
          id: 77,
          questions: [
            { name: "web", type: "A" },
            { name: "db", type: "A" },
          ],
        }),
      ),
    ).toBe("ignore");
    expect(answer(new Uint8Array(5000))).toBe("ignore");
  });

  test("other operations are not implemented", () => {
    const update = Uint8Array.from(query("web"));
    update[2] = 5 << 3;
    expect(answer(update)).toBe("4");
  });

  test("no bytes break it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, asTail) => {
        const message = asTail ? Buffer.concat([query("web").subarray(0, 12), noise]) : noise;
        return ["answer", "forward", "ignore"].includes(decide(zone, message).kind);
      }),
      { numRuns: 500 },
    );
  });

  test("refusals keep id and question", () => {
    const flags = (bytes: Uint8Array) => [
      decode(Buffer.from(bytes)).id,
      (decode(Buffer.from(bytes)).flags ?? 0) & 15,
      decode(Buffer.from(bytes)).questions?.[0]?.name,
    ];
    expect(flags(serverFailure(query("a.b")))).toEqual([77, 2, "a.b"]);
    expect(flags(noSuchName(query("a.b")))).toEqual([77, 3, "a.b"]);
    expect(serverFailure(new Uint8Array(3))).toEqual(new Uint8Array(0));
  });

  test("the zone", () => {
    expect(zone.names.get(parseIpv4("10.7.0.3"))).toBe("db");
    expect(zone.addresses.get("db")).toEqual([parseIpv4("10.7.0.3")]);
  });
});

describe("messages of a stream", () => {
  test("come out as they were framed, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 50 }),
        (messages, cut) => {
          const reader = new MessageReader();
          const stream = Buffer.concat(messages.map(framed));
          const out: Uint8Array[] = [];
          for (let at = 0; at < stream.length; at += cut)
            out.push(...(reader.add(stream.subarray(at, at + cut)) ?? []));
          expect(out.map((bytes) => [...bytes])).toEqual(messages.map((bytes) => [...bytes]));
        },
      ),
    );
  });

  test("are bounded", () => {
    const reader = new MessageReader(10);
    expect(reader.add(Uint8Array.of(0x40, 0, 1, 2, 3))).toEqual([]);
    expect(reader.add(new Uint8Array(20))).toBeUndefined();
  });
});
