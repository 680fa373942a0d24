import { expect, test } from "bun:test";
import { parseEndpointName } from "./endpoint-name.ts";
import { hostOf } from "./registries.ts";

test("registries", () => {
  expect(parseEndpointName("docker://busybox")).toMatchObject({
    transport: "docker",
    reference: { domain: "docker.io", path: "library/busybox", tag: "latest" },
  });
  expect(parseEndpointName("docker://r.example:5000/a/b:c")).toMatchObject({
    reference: { domain: "r.example:5000", path: "a/b", tag: "c" },
  });
});

test("directories and archives", () => {
  expect(parseEndpointName("oci:/srv/layout")).toEqual({
    transport: "oci",
    path: "/srv/layout",
    tag: undefined,
  });
  expect(parseEndpointName("oci:dir:v1")).toEqual({ transport: "oci", path: "dir", tag: "v1" });
  expect(parseEndpointName("oci:dir:")).toEqual({ transport: "oci", path: "dir", tag: undefined });
  expect(parseEndpointName("oci-archive:a.tar:r.example:5000/a:b")).toEqual({
    transport: "oci-archive",
    path: "a.tar",
    tag: "r.example:5000/a:b",
  });
  expect(parseEndpointName("docker-archive:a.tar:busybox:1")).toMatchObject({ tag: "busybox:1" });
});

test.each([
  ["busybox", "does not say what kind of place it is"],
  ["", "does not say"],
  [":x", "does not say"],
  ["dir:/x", "does not say"],
  ["oci:", "oci: names no directory"],
  ["docker-archive::x", "docker-archive: names no file"],
  ["docker://", "invalid reference"],
  ["docker://UPPER", "invalid reference"],
])("%j is none", (text, message) => {
  expect(() => parseEndpointName(text)).toThrow(message);
});

test("the host of what users call a server", () => {
  for (const name of [
    "",
    "docker.io",
    "index.docker.io",
    "https://index.docker.io/v1/",
    "registry-1.docker.io",
  ])
    expect(hostOf(name)).toBe("docker.io");
  expect(hostOf("https://r.example:5000/v2/")).toBe("r.example:5000");
  expect(hostOf("r.example")).toBe("r.example");
});
