import { describe, expect, test } from "bun:test";
import { noRegistriesConfig, parseRegistriesConfig, settingsOf, withRegistryFlags } from "./settings.ts";

describe("the registries section", () => {
  test("all settings", () => {
    const config = parseRegistriesConfig({
      "docker.io": { mirrors: ["https://mirror.lan:5000/hub/", "http://10.0.0.1"] },
      "registry.lan:5000": { insecure: true, ca: "/ca.pem", cert: "/c.pem", key: "/k.pem" },
      "[2001:db8::1]:5000": null,
    });
    expect(settingsOf(config, "docker.io")).toMatchObject({
      mirrors: ["https://mirror.lan:5000/hub", "http://10.0.0.1"],
      insecure: false,
    });
    expect(settingsOf(config, "registry.lan:5000")).toEqual({
      mirrors: [],
      insecure: true,
      ca: "/ca.pem",
      cert: "/c.pem",
      key: "/k.pem",
    });
    expect(settingsOf(config, "registry.lan").insecure).toBe(false);
  });

  test.each([
    [[], "registries is not a map"],
    [{ "a b": {} }, 'registries: "a b" is no host'],
    [{ "../etc": {} }, 'registries: "../etc" is no host'],
    [{ "a.b": [] }, "registries.a.b is not a map"],
    [{ "a.b": { mirror: [] } }, 'registries.a.b has no setting "mirror"'],
    [{ "a.b": { mirrors: "https://x" } }, "registries.a.b.mirrors is not a list"],
    [{ "a.b": { mirrors: [7] } }, "registries.a.b.mirrors is not a text"],
    [{ "a.b": { mirrors: ["mirror.lan"] } }, 'invalid mirror "mirror.lan"'],
    [{ "a.b": { mirrors: ["ftp://mirror.lan"] } }, "invalid mirror"],
    [{ "a.b": { mirrors: ["https://u:p@mirror.lan"] } }, "invalid mirror"],
    [{ "a.b": { mirrors: ["https://mirror.lan/?x=1"] } }, "invalid mirror"],
    [{ "a.b": { insecure: "yes" } }, "registries.a.b.insecure is neither true nor false"],
    [{ "a.b": { ca: "" } }, "registries.a.b.ca is not a text"],
    [{ "a.b": { cert: "/c.pem" } }, "registries.a.b: cert and key go together"],
  ])("%j is refused", (value, message) => {
    expect(() => parseRegistriesConfig(value)).toThrow(message);
  });

  test("a host called as a part of every object has no settings", () => {
    const config = parseRegistriesConfig({});
    for (const host of ["constructor", "__proto__", "toString"])
      expect(settingsOf(config, host)).toMatchObject({ mirrors: [], insecure: false });
  });
});

describe("flags", () => {
  test("mirrors: of docker.io, or of the host before the sign", () => {
    const config = withRegistryFlags(
      parseRegistriesConfig({ "docker.io": { mirrors: ["https://first"] } }),
      ["https://second/", "ghcr.io=http://third:1/g", "[::1]:5000=http://fourth"],
      [],
    );
    expect(settingsOf(config, "docker.io").mirrors).toEqual(["https://first", "https://second"]);
    expect(settingsOf(config, "ghcr.io").mirrors).toEqual(["http://third:1/g"]);
    expect(settingsOf(config, "[::1]:5000").mirrors).toEqual(["http://fourth"]);
    expect(() => withRegistryFlags(config, ["nonsense"], [])).toThrow('invalid mirror "nonsense"');
  });

  test("insecure: host, host with port, subnet; loopback anyway, unless the file says no", () => {
    const given = parseRegistriesConfig({ "127.0.0.1:7": { insecure: false } });
    const config = withRegistryFlags(given, [], ["a.lan", "b.lan:5000", "10.0.0.0/8", "2001:db8::/32"]);
    const insecure = (host: string): boolean => settingsOf(config, host).insecure;
    expect(["a.lan", "a.lan:99", "b.lan:5000", "10.1.2.3:5000", "[2001:db8::5]:1"].every(insecure)).toBe(
      true,
    );
    expect(["b.lan", "b.lan:1", "sub.a.lan", "11.0.0.1", "127.0.0.1:7"].some(insecure)).toBe(false);
    expect(["localhost:5000", "127.0.0.1:5000", "[::1]:5000"].every(insecure)).toBe(true);
    for (const rule of ["", "http://a.lan", "a.lan/path", "a b"])
      expect(() => withRegistryFlags(noRegistriesConfig, [], [rule])).toThrow("invalid --insecure-registry");
  });
});
