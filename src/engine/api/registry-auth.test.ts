import { expect, test } from "bun:test";
import type { IncomingMessage } from "node:http";
import { registryAuth, registryConfig } from "./registry-auth.ts";

const asked = (headers: Record<string, string>): IncomingMessage =>
  ({ headers }) as unknown as IncomingMessage;
const encoded = (value: unknown, alphabet: "base64" | "base64url" = "base64url"): string =>
  Buffer.from(JSON.stringify(value)).toString(alphabet);
const auth = (header: string) => registryAuth(asked({ "x-registry-auth": header }));

const alice = { username: "alice", password: "ÿ?>", serveraddress: "r:5000" };

test.each([
  { name: "the URL's alphabet", header: encoded(alice) },
  { name: "the usual one, padded", header: encoded(alice, "base64") },
])("credentials in base64: $name", ({ header }) => {
  expect(auth(header)).toEqual(alice);
});

test.each([
  { name: "no header", header: "" },
  { name: "an empty object", header: "e30=" },
  { name: "null", header: encoded(null) },
  { name: "a number", header: encoded(7) },
  { name: "a list", header: encoded(["alice"]) },
  {
    name: "values that are no text",
    header: encoded({ username: 7, password: {}, auth: null, identitytoken: [] }),
  },
  { name: "keys that mean nothing", header: encoded({ email: "a@b", toString: "x" }) },
  { name: "a prototype", header: Buffer.from('{"__proto__":{"username":"root"}}').toString("base64url") },
])("no credentials: $name", ({ header }) => {
  const found = auth(header);
  expect(found).toEqual({});
  expect(found.username).toBeUndefined();
});

test.each([
  { name: "no JSON", header: Buffer.from("alice:secret").toString("base64"), says: "is not JSON in base64" },
  { name: "no base64", header: "%%%", says: "is not JSON in base64" },
  { name: "too long", header: "A".repeat(300 << 10), says: "is too long" },
  {
    name: "deep",
    header: Buffer.from("[".repeat(100_000)).toString("base64"),
    says: "is not JSON in base64",
  },
])("refused, without repeating it: $name", ({ header, says }) => {
  expect(() => auth(header)).toThrow(`the header x-registry-auth ${says}`);
});

test("credentials of several registries, by host however they are written", () => {
  const header = encoded({
    "https://index.docker.io/v1/": { username: "hub" },
    "http://r:5000/v2/": { auth: "YTpi" },
    "q.example": "no object",
  });
  const all = registryConfig(asked({ "x-registry-config": header }));
  expect([...all]).toEqual([
    ["docker.io", { username: "hub" }],
    ["r:5000", { auth: "YTpi" }],
    ["q.example", {}],
  ]);
  expect(registryConfig(asked({})).size).toBe(0);
  expect(registryConfig(asked({ "x-registry-config": encoded("text") })).size).toBe(0);
});
