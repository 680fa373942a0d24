import { describe, expect, test } from "bun:test";
import { sha256 } from "../lib/index.ts";
import type { Descriptor, Platform } from "./manifest.ts";
import {
  amd64Variant,
  choosePlatform,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  platformRank,
} from "./platform.ts";

const descriptor = (platform: Platform | undefined, more: Partial<Descriptor> = {}): Descriptor => ({
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: sha256(JSON.stringify([platform, more])),
  size: 1,
  ...(platform === undefined ? {} : { platform }),
  ...more,
});
const named = (...names: readonly string[]): readonly Descriptor[] =>
  names.map((name) => descriptor(parsePlatform(name)));

describe("parsePlatform", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["Linux/X86_64/v1", "linux/amd64"],
    ["linux/arm64/v8", "linux/arm64/v8"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm", "linux/arm"],
    ["linux/arm/7", "linux/arm/v7"],
    ["linux/armhf", "linux/arm"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/i386", "linux/386"],
    ["macos/arm64", "darwin/arm64"],
    ["riscv64", "linux/riscv64"],
    ["windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"],
    ["plan10/pdp11", "plan10/pdp11"],
  ])("%p is %s", (text, want) => expect(formatPlatform(parsePlatform(text))).toBe(want));

  test("an operating system alone is this machine's architecture", () => {
    expect(parsePlatform("linux").architecture).toBe(hostPlatform().architecture);
  });

  test.each([
    "",
    "nonsense",
    "linux/",
    "/amd64",
    "linux/amd64/v2/x",
    "linux/a b",
    "linux/*",
    "x".repeat(500),
  ])("%p is refused", (text) => expect(() => parsePlatform(text)).toThrow("invalid platform"));
});

test("spellings of one platform are equal", () => {
  expect(normalizePlatform({ os: "linux", architecture: "arm" })).toEqual({
    os: "linux",
    architecture: "arm",
    variant: "v7",
  });
  expect(normalizePlatform({ os: "", architecture: "aarch64", variant: "V8" })).toEqual({
    os: "linux",
    architecture: "arm64",
  });
});

test("a processor's level is the highest of which it has all", () => {
  const v2 = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3";
  const v3 = `${v2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave`;
  const v4 = `${v3} avx512f avx512bw avx512cd avx512dq avx512vl`;
  const level = (flags: string): string | undefined => amd64Variant(new Set(flags.split(" ")));
  expect([level("sse2"), level(v2), level(v3), level(v4)]).toEqual([undefined, "v2", "v3", "v4"]);
  // All of the fourth without one of the third is no more than the second.
  expect(level(v4.replace("movbe", ""))).toBe("v2");
});

describe("choosePlatform", () => {
  test.each([
    ["linux/amd64", ["linux/arm64", "linux/386", "linux/amd64/v2", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/amd64/v3", "linux/386"], "linux/386"],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v4", "linux/amd64/v2"], "linux/amd64/v2"],
    ["linux/amd64/v4", ["linux/amd64/v3", "linux/amd64/v4", "linux/amd64"], "linux/amd64/v4"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], "linux/arm/v6"],
    ["linux/arm/v5", ["linux/arm/v6", "linux/arm/v5"], "linux/arm/v5"],
    ["linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm64", ["linux/amd64", "linux/arm/v6"], "linux/arm/v6"],
    ["linux/arm64/v9.2", ["linux/arm64", "linux/arm64/v8.7", "linux/arm64/v9.3"], "linux/arm64/v8.7"],
  ])("%s of %p is %s", (wish, offered, want) => {
    const { platform } = choosePlatform(named(...offered), parsePlatform(wish));
    expect(platform && formatPlatform(platform)).toBe(want);
  });

  test("of equals the first is taken, or the one of the version that was asked for", () => {
    const [a, b] = [
      descriptor({ os: "linux", architecture: "amd64", "os.version": "1" }),
      descriptor({ os: "linux", architecture: "amd64", "os.version": "2" }),
    ] as const;
    expect(choosePlatform([a, b], parsePlatform("linux/amd64"))).toBe(a);
    expect(choosePlatform([a, b], parsePlatform("linux(2)/amd64"))).toBe(b);
  });

  test("windows: the build counts, the revision does not", () => {
    const wish = parsePlatform("windows(10.0.17763.1)/amd64");
    const of = (version: string): Platform => ({
      os: "windows",
      architecture: "amd64",
      "os.version": version,
    });
    expect(platformRank(wish, of("10.0.17763.529"))).toBe(0);
    expect(platformRank(wish, of("10.0.20348.1"))).toBeUndefined();
    expect(platformRank(wish, { ...of("10.0.17763"), "os.features": ["win32k"] })).toBeUndefined();
  });

  test("attestations and artifacts are passed over, what has no platform comes last", () => {
    const attestation = descriptor({ os: "unknown", architecture: "unknown" });
    const marked = descriptor(undefined, {
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    });
    const artifact = descriptor(undefined, { artifactType: "application/spdx+json" });
    const bare = descriptor(undefined);
    const wish = parsePlatform("linux/amd64");
    const [image] = named("linux/amd64");
    expect(choosePlatform([attestation, marked, artifact, bare], wish)).toBe(bare);
    expect(choosePlatform([bare, ...named("linux/amd64")], wish).digest).toBe(image?.digest ?? bare.digest);
    expect(() => choosePlatform([attestation, marked, artifact], wish)).toThrow("there is no image in it");
  });

  test("the error says what there is", () => {
    expect(() =>
      choosePlatform(named("linux/amd64", "linux/arm/v7", "linux/amd64"), parsePlatform("linux/riscv64")),
    ).toThrow(
      "no matching manifest for linux/riscv64 in the manifest list entries: there are linux/amd64, linux/arm/v7",
    );
  });
});
