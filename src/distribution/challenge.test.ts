import { describe, expect, test } from "bun:test";
import { parseChallenges } from "./challenge.ts";

const plain = (header: string): readonly (readonly [string, Record<string, string>])[] =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe("challenges", () => {
  test("as registries put them", () => {
    expect(plain('Basic realm="Registry Realm"')).toEqual([["basic", { realm: "Registry Realm" }]]);
    expect(
      plain(
        'Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="repository:a/b:pull,push"',
      ),
    ).toEqual([
      [
        "bearer",
        {
          realm: "https://auth.example.com/token",
          service: "registry.example.com",
          scope: "repository:a/b:pull,push",
        },
      ],
    ]);
  });

  test("several in one header, names in any case, blanks around", () => {
    expect(plain('BASIC Realm = "a" ,  bearer REALM="b" , error=invalid_token')).toEqual([
      ["basic", { realm: "a" }],
      ["bearer", { realm: "b", error: "invalid_token" }],
    ]);
    expect(plain('Negotiate, Basic realm="x"')).toEqual([
      ["negotiate", {}],
      ["basic", { realm: "x" }],
    ]);
  });

  test("a token68 (RFC 9110, 11.2) does not hide the challenge behind it", () => {
    expect(plain('NTLM TlRMTVNTUAACAAAA==, Basic realm="x"')).toEqual([
      ["ntlm", {}],
      ["basic", { realm: "x" }],
    ]);
  });

  test("quoted strings: escapes, commas and equals signs inside", () => {
    expect(plain(String.raw`Basic realm="a \"b\" \\ c, d=e"`)).toEqual([
      ["basic", { realm: String.raw`a "b" \ c, d=e` }],
    ]);
  });

  test("of a parameter that is said twice the first counts", () => {
    expect(plain('Bearer realm="https://good/",realm="https://evil/"')).toEqual([
      ["bearer", { realm: "https://good/" }],
    ]);
  });

  test.each(["", " ", ",,,", "=", '="x"', '"', "\u0000", 'realm="x"'])("nothing in %j", (header) => {
    expect(plain(header).flatMap(([, parameters]) => Object.keys(parameters))).toEqual([]);
  });

  test("what is before damage is kept", () => {
    expect(plain('Basic realm="x", Bearer realm="never closed')).toEqual([
      ["basic", { realm: "x" }],
      ["bearer", {}],
    ]);
  });

  test("hostile ones end soon", () => {
    const started = performance.now();
    for (const piece of ['"\\', "a=", ",", "a ", '="', 'a="\\', " \t"])
      parseChallenges(piece.repeat(1_000_000));
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
