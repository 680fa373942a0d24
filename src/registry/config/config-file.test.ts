import { expect, test } from "bun:test";
import { parseConfig } from "./config-file.ts";
import { isLoopbackHost, parseAddress, parsePeriod, parseSize } from "./values.ts";

test("keys are flags", () => {
  const given = parseConfig(
    "# ours\naddr: 0.0.0.0:5000\ninsecure-http: true\nacme-name:\n  - a.example\n  - b.example\nrate-pull: 20/s\n",
    "f.yml",
  );
  expect(Object.fromEntries(given)).toEqual({
    addr: ["0.0.0.0:5000"],
    "insecure-http": ["true"],
    "acme-name": ["a.example", "b.example"],
    "rate-pull": ["20/s"],
  });
  expect(parseConfig("", "f.yml").size).toBe(0);
});

test.each([
  ["addr: :5000\ntls_cert: x\n", 'f.yml:2: there is no setting "tls_cert"'],
  ["addr: :5000\n\naddr: :5001\n", "f.yml:3: addr stands in line 1 already"],
  ["addr: [a, b]\n", "f.yml:1: addr takes one value, not a list"],
  ["root: /x\naddr: nonsense\n", 'f.yml:2: addr: "nonsense" is no address'],
  ["addr: :5000\nroot: [\ngrace: 5s\n", "f.yml:2: no YAML"],
  ["addr: :5000\nupstream: [\n  a=b,\n  c=d ]\ngrace: 5s\n  debug: true\n", "f.yml:6: no YAML"],
  ["insecure-http: maybe\n", "f.yml:1: insecure-http is true or false"],
  ["grace: {a: 1}\n", "f.yml:1: grace is no text"],
  ["- a\n- b\n", "f.yml has no settings"],
  ["retention-schedule: often\n", "f.yml:1: retention-schedule"],
  ["rate-pull: lots\n", "f.yml:1: rate-pull"],
  ["{addr: ':5000', colour: red}\n", 'there is no setting "colour"'],
])("refuses %j", (text, message) => {
  expect(() => parseConfig(text, "f.yml")).toThrow(message);
});

test("sizes and periods", () => {
  expect(["0", "512", "1k", "4m", "1.5GiB", "10 GB"].map(parseSize)).toEqual([
    0, 512, 1024, 4_194_304, 1_610_612_736, 10_737_418_240,
  ]);
  expect(["90s", "1h30m", "30d", "250ms", "1w"].map(parsePeriod)).toEqual([
    90_000, 5_400_000, 2_592_000_000, 250, 604_800_000,
  ]);
  for (const text of ["", "-1", "1x", "m"]) expect(() => parseSize(text)).toThrow();
  for (const text of ["", "5", "1y", "1h-", "h"]) expect(() => parsePeriod(text)).toThrow();
});

test("addresses", () => {
  expect(parseAddress("127.0.0.1:5000")).toEqual({ host: "127.0.0.1", port: 5000 });
  expect(parseAddress("[::1]:5000")).toEqual({ host: "::1", port: 5000 });
  expect(parseAddress(":443")).toEqual({ host: "::", port: 443 });
  for (const text of ["", "a", "a:b", "::1:5000", "a:70000", "[::1]"])
    expect(() => parseAddress(text)).toThrow();
  expect(["127.0.0.1", "127.9.9.9", "::1", "localhost"].every(isLoopbackHost)).toBe(true);
  expect(["0.0.0.0", "::", "10.0.0.1", "127.example.com", "localhost.example"].some(isLoopbackHost)).toBe(
    false,
  );
});
