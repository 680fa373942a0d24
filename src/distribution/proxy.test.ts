import { describe, expect, test } from "bun:test";
import { inSubnet, isLoopback, proxyFor } from "./proxy.ts";

const proxied = (address: string, noProxy: string): boolean =>
  proxyFor(new URL(address), { HTTPS_PROXY: "http://p:1", HTTP_PROXY: "http://p:1", NO_PROXY: noProxy }) !==
  undefined;

describe("which proxy", () => {
  const at = (address: string, environment: Record<string, string>): string | undefined =>
    proxyFor(new URL(address), environment);

  test("by the address's scheme; capitals first", () => {
    const both = { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "http://secure:2" };
    expect(at("http://a.example/", both)).toBe("http://plain:1");
    expect(at("https://a.example/", both)).toBe("http://secure:2");
    expect(at("https://a.example/", { HTTP_PROXY: "http://plain:1" })).toBeUndefined();
    expect(at("http://a.example/", { HTTP_PROXY: "http://A:1", http_proxy: "http://b:1" })).toBe(
      "http://A:1",
    );
    expect(at("http://a.example/", { http_proxy: "http://b:1" })).toBe("http://b:1");
    expect(at("http://a.example/", { HTTP_PROXY: "", http_proxy: "http://b:1" })).toBe("http://b:1");
    expect(at("http://a.example/", {})).toBeUndefined();
  });

  test("without a scheme it speaks http; others are not spoken", () => {
    expect(at("http://a.example/", { HTTP_PROXY: "proxy.lan:3128" })).toBe("http://proxy.lan:3128");
    expect(at("http://a.example/", { HTTP_PROXY: "https://proxy.lan" })).toBe("https://proxy.lan");
    for (const address of ["socks5://user:secret@proxy.lan", "http://", "a b"])
      expect(() => at("http://a.example/", { HTTP_PROXY: address })).toThrow(/no http or https address/);
    try {
      at("http://a.example/", { HTTP_PROXY: "socks5://user:secret@proxy.lan" });
    } catch (error) {
      expect(String(error)).not.toContain("secret");
    }
  });

  test("never for this machine", () => {
    for (const host of ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.8.9.1:80", "[::1]:5000"])
      expect(proxied(`http://${host}/`, "")).toBe(false);
  });
});

/** Cases as of golang.org/x/net/http/httpproxy: rule list, address, proxied. */
const cases: readonly (readonly [rules: string, address: string, proxied: boolean])[] = [
  ["", "https://example.com/", true],
  ["*", "https://example.com/", false],
  ["a.example, *", "https://example.com/", false],
  ["example.com", "https://example.com/", false],
  ["example.com", "https://EXAMPLE.com/", false],
  [" Example.COM ", "https://example.com/", false],
  ["example.com", "https://sub.example.com/", false],
  ["example.com", "https://badexample.com/", true],
  ["example.com", "https://example.com.evil.net/", true],
  [".example.com", "https://example.com/", true],
  [".example.com", "https://sub.example.com/", false],
  ["*.example.com", "https://example.com/", true],
  ["*.example.com", "https://a.b.example.com/", false],
  ["example.com:443", "https://example.com/", false],
  ["example.com:443", "https://sub.example.com/", false],
  ["example.com:443", "https://example.com:8443/", true],
  ["example.com:80", "http://example.com/", false],
  ["example.com:80", "https://example.com/", true],
  [".example.com:8443", "https://sub.example.com:8443/", false],
  ["10.0.0.1", "https://10.0.0.1/", false],
  ["10.0.0.1", "https://10.0.0.2/", true],
  ["10.0.0.1:443", "https://10.0.0.1/", false],
  ["10.0.0.1:443", "https://10.0.0.1:5000/", true],
  ["10.0.0.0/8", "https://10.200.3.4/", false],
  ["10.0.0.0/8", "https://11.0.0.1/", true],
  ["10.1.2.3/8", "https://10.200.3.4/", false],
  ["10.0.0.0/33", "https://10.0.0.1/", true],
  ["10.0.0.0/", "https://10.0.0.1/", true],
  ["0.0.0.0/0", "https://8.8.8.8/", false],
  ["0.0.0.0/0", "https://example.com/", true],
  ["2001:db8::1", "https://[2001:db8::1]/", false],
  ["2001:db8:0:0::1", "https://[2001:db8::1]/", false],
  ["[2001:db8::1]:443", "https://[2001:db8::1]/", false],
  ["[2001:db8::1]:443", "https://[2001:db8::1]:5000/", true],
  ["2001:db8::/32", "https://[2001:db8:1::5]/", false],
  ["2001:db8::/32", "https://[2001:db9::5]/", true],
  [":443", "https://example.com/", true],
  [",,, ,", "https://example.com/", true],
  ["com", "https://example.com/", false],
  ["10", "https://192.168.3.10/", true],
];

test.each(cases)("NO_PROXY=%s: %s goes by the proxy: %s", (rules, address, expected) => {
  expect(proxied(address, rules)).toBe(expected);
});

test("subnets and loopback", () => {
  expect(inSubnet("192.168.0.0/16", "192.168.9.9")).toBe(true);
  expect(inSubnet("192.168.0.0/16", "registry.lan")).toBe(false);
  expect(inSubnet("nonsense/16", "192.168.9.9")).toBe(false);
  expect(["127.0.0.1", "127.9.9.9", "::1", "localhost"].every(isLoopback)).toBe(true);
  // A name that looks like an address is none.
  expect(["127.0.0.1.evil.net", "128.0.0.1", "localhost.evil.net"].some(isLoopback)).toBe(false);
});
