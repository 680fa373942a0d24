import { describe, expect, test } from "bun:test";
import { hostsFile, parseResolvConf, resolvConf } from "./container-files.ts";

const hosts = (over: Partial<Parameters<typeof hostsFile>[0]>) =>
  hostsFile({
    hostname: "web",
    domainname: "",
    ip: "10.88.0.2",
    extraHosts: [],
    gateway: "10.88.0.1",
    ...over,
  })
    .split("\n")
    .slice(6, -1);

describe("/etc/hosts", () => {
  test.each([
    [{}, ["10.88.0.2\tweb"]],
    [{ domainname: "example.org" }, ["10.88.0.2\tweb.example.org web"]],
    [{ ip: "" }, []],
    [
      { extraHosts: ["db:10.0.0.9", "six=fe80::1", "b:[::1]", "up:host-gateway"] },
      ["10.0.0.9\tdb", "fe80::1\tsix", "::1\tb", "10.88.0.1\tup", "10.88.0.2\tweb"],
    ],
  ])("%p", (over, want) => {
    expect(hosts(over)).toEqual(want);
  });

  test("starts as Docker's", () => {
    expect(hostsFile({ hostname: "a", domainname: "", ip: "", extraHosts: [], gateway: "" })).toStartWith(
      "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost",
    );
  });

  test.each([
    "db",
    ":10.0.0.1",
    "db:nowhere",
    "db:10.0.0.1\n6.6.6.6 bank",
    "a b:10.0.0.1",
    "x\ny:10.0.0.1",
    "#:10.0.0.1",
  ])("%p is refused", (text) => {
    expect(() => hosts({ extraHosts: [text] })).toThrow("invalid extra host");
  });

  test("host-gateway needs one", () => {
    expect(() => hosts({ extraHosts: ["up:host-gateway"], gateway: "" })).toThrow("invalid extra host");
  });
});

describe("resolv.conf", () => {
  const host = parseResolvConf(
    "# c\nnameserver 127.0.0.53\nnameserver 192.0.2.53 ; x\nnameserver 192.0.2.54\nsearch a.org\nsearch b.org c.org\noptions edns0 trust-ad\n",
  );
  const base = { server: "10.88.0.1", internal: false, dns: [], search: [], options: [], host };

  test("is read as resolvers read it", () => {
    expect(host).toEqual({
      nameservers: ["127.0.0.53", "192.0.2.53", "192.0.2.54"],
      search: ["b.org", "c.org"],
      options: ["edns0", "trust-ad"],
    });
    expect(parseResolvConf("")).toEqual({ nameservers: [], search: [], options: [] });
  });

  test.each([
    [
      "the gateway, then the host's without its loopback",
      base,
      "nameserver 10.88.0.1\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch b.org c.org\noptions edns0 trust-ad\n",
    ],
    [
      "no server of the network",
      { ...base, server: "" },
      "nameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch b.org c.org\noptions edns0 trust-ad\n",
    ],
    [
      "internal",
      { ...base, internal: true },
      "nameserver 10.88.0.1\nsearch b.org c.org\noptions edns0 trust-ad\n",
    ],
    [
      "the user's",
      { ...base, dns: ["1.1.1.1"], search: ["."], options: ["ndots:2"] },
      "nameserver 10.88.0.1\nnameserver 1.1.1.1\noptions ndots:2\n",
    ],
    [
      "three servers at most, none twice",
      { ...base, dns: ["10.88.0.1", "1.1.1.1", "2.2.2.2", "3.3.3.3"], options: ["x"], search: ["."] },
      "nameserver 10.88.0.1\nnameserver 1.1.1.1\nnameserver 2.2.2.2\noptions x\n",
    ],
  ])("%s", (_name, request, want) => {
    expect(resolvConf(request)).toBe(want);
  });
});
