/**
 * Platforms: `linux/arm64/v8` read, brought to one spelling, compared, and the manifest of an index chosen by them. The
 * rules are containerd's (package platforms), so that the same image is chosen here as there.
 */
import * as fs from "node:fs";
import { GantryError } from "../lib/index.ts";
import { hostArchitecture } from "./image-config.ts";
import type { Descriptor, Platform } from "./manifest.ts";

/** What somebody asked for, as `parsePlatform` made it, or this machine. */
export type PlatformWish = Platform;

const systems = new Set(
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(
    " ",
  ),
);
const architectures = new Set(
  (
    "386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 " +
    "mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm"
  ).split(" "),
);

/** `linux`, `windows(10.0.17763)`, `windows(10.0.17763+win32k)`. */
const systemPattern = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)((?:\+[A-Za-z0-9_.-]+)*)\))?$/;
const partPattern = /^[A-Za-z0-9_.-]+$/;
const maxTextLength = 256;

/** Other spellings of an architecture, and the variant that they imply. */
const spellings: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ["i386", ["386", ""]],
  ["x86_64", ["amd64"]],
  ["x86-64", ["amd64"]],
  ["aarch64", ["arm64"]],
  ["armhf", ["arm", "v7"]],
  ["armel", ["arm", "v6"]],
]);

/** Other spellings of a variant, `ARCHITECTURE/VARIANT`. */
const variants: ReadonlyMap<string, string> = new Map([
  ["amd64/v1", ""],
  ["arm64/8", ""],
  ["arm64/v8", ""],
  ["arm64/v8.0", ""],
  ["arm64/9", "v9"],
  ["arm64/9.0", "v9"],
  ["arm64/v9.0", "v9"],
  ["arm/", "v7"],
  ["arm/5", "v5"],
  ["arm/6", "v6"],
  ["arm/7", "v7"],
  ["arm/8", "v8"],
]);

/**
 * Reads OS, ARCHITECTURE, OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT; what is not said is this machine's.
 * @throws {GantryError} "invalid"
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const system = text.length > maxTextLength ? null : systemPattern.exec(parts[0] ?? "");
  if (system === null || parts.length > 3 || !parts.slice(1).every((part) => partPattern.test(part)))
    throw invalid(text);
  const [, os = "", version = "", features = ""] = system;
  const [, architecture, variant = ""] = parts;
  const wish = {
    ...(version === "" ? {} : { "os.version": version }),
    ...(features === "" ? {} : { "os.features": features.slice(1).split("+").sort() }),
  };
  if (architecture !== undefined) return spoken({ os, architecture, variant, ...wish });
  const known = normalizePlatform({ os, architecture: "" }).os;
  if (systems.has(known)) return spoken({ os: known, architecture: hostArchitecture(), ...wish });
  const { architecture: alone } = normalizePlatform({ os: "linux", architecture: os });
  if (!architectures.has(alone) || os !== parts[0]) throw invalid(text);
  return spoken({ os: "linux", architecture: os });
}

function invalid(text: string): GantryError {
  const shown = JSON.stringify(text.slice(0, maxTextLength));
  return new GantryError("invalid", `invalid platform ${shown}: it must be OS[/ARCHITECTURE[/VARIANT]]`, {
    hint: "for example linux/amd64 or linux/arm/v7",
  });
}

/** As people write it: the default variant is only told where there are several in use. */
function spoken(platform: Platform): Platform {
  const normal = normalizePlatform(platform);
  const { architecture, variant } = normal;
  const said = platform.variant !== undefined && platform.variant !== "";
  if (architecture === "arm64" && variant === undefined && said) return { ...normal, variant: "v8" };
  if (architecture !== "arm" || variant !== "v7" || said) return normal;
  const { variant: _, ...rest } = normal;
  return rest;
}

/** One spelling for each platform: `x86_64` is amd64, arm without variant is v7, arm64 v8 has none. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const given = platform.architecture.toLowerCase();
  const [architecture, implied] = spellings.get(given) ?? [given];
  const spelled = implied ?? (platform.variant ?? "").toLowerCase();
  const variant = variants.get(`${architecture}/${spelled}`) ?? spelled;
  const { variant: _, ...rest } = platform;
  return {
    ...rest,
    os: os === "" ? "linux" : os === "macos" ? "darwin" : os,
    architecture,
    ...(variant === "" ? {} : { variant }),
  };
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  if (platform.os === "") return "unknown";
  const version = platform["os.version"];
  const os = version === undefined || version === "" ? platform.os : `${platform.os}(${version})`;
  return [os, platform.architecture, platform.variant ?? ""].filter((part) => part !== "").join("/");
}

/** This machine, with the highest variant that its processor runs. */
export function hostPlatform(): Platform {
  return (host ??= detectHost());
}

let host: Platform | undefined;

function detectHost(): Platform {
  const architecture = hostArchitecture();
  const variant = architecture === "amd64" ? amd64Variant(processorFlags()) : undefined;
  return { os: "linux", architecture, ...(variant === undefined ? {} : { variant }) };
}

function processorFlags(): ReadonlySet<string> {
  const line = /^flags\s*:\s*(.*)$/m.exec(fs.readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? "";
  return new Set(line.split(" "));
}

/** x86-64 psABI, "Microarchitecture levels", in the words of /proc/cpuinfo. */
const amd64Levels: readonly (readonly [variant: string, flags: string])[] = [
  ["v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"],
  ["v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"],
  ["v4", "avx512f avx512bw avx512cd avx512dq avx512vl"],
];

/** The level of a processor with these flags; undefined for the first. */
export function amd64Variant(flags: ReadonlySet<string>): string | undefined {
  let variant: string | undefined;
  for (const [level, needed] of amd64Levels) {
    if (!needed.split(" ").every((flag) => flags.has(flag))) break;
    variant = level;
  }
  return variant;
}

/** Variants that a processor of the given one runs too, best first. */
function lesser(from: number, to: number): string[] {
  return Array.from({ length: Math.max(0, from - to + 1) }, (_, i) => `v${from - i}`);
}

/** The minor versions of the architecture's document that each major one goes along with: v9.x is v8.(x+5). */
function arm64Variants(variant: string): string[] {
  const match = /^v([89])(?:\.([0-9]))?$/.exec(variant);
  if (match === null) return [variant];
  const minor = Number(match[2] ?? 0);
  const down = (major: number, top: number): string[] =>
    Array.from({ length: top + 1 }, (_, i) => (i === top ? `v${major}` : `v${major}.${top - i}`));
  return match[1] === "8" ? down(8, minor) : [...down(9, minor), ...down(8, Math.min(9, minor + 5))];
}

/** What a machine of a platform runs, best first: `architecture/variant`. */
function runnable({ architecture, variant = "" }: Platform): readonly string[] {
  const arm = (from: string): string[] => {
    const number = /^v([5-8])$/.exec(from)?.[1];
    return number === undefined ? [`arm/${from}`] : lesser(Number(number), 5).map((name) => `arm/${name}`);
  };
  switch (architecture) {
    case "amd64": {
      const level = /^v([2-9])$/.exec(variant)?.[1];
      const names = level === undefined ? [variant] : [...lesser(Number(level), 2), ""];
      return [...names.map((name) => `amd64/${name}`), "386/"];
    }
    case "arm":
      return arm(variant);
    case "arm64": {
      const names = arm64Variants(variant === "" ? "v8" : variant);
      return [
        ...names.map((name) => `arm64/${name === "v8" ? "" : name}`),
        ...arm(/^v[89]/.test(names[0] ?? "") ? "v8" : variant),
      ];
    }
    default:
      return [`${architecture}/${variant}`];
  }
}

/** How well a platform fulfils a wish: 0 is best; undefined: not at all. */
export function platformRank(wish: PlatformWish, platform: Platform): number | undefined {
  const [wanted, offered] = [normalizePlatform(wish), normalizePlatform(platform)];
  if (wanted.os !== offered.os || !isVersionRight(wanted, offered)) return undefined;
  const has = new Set(wanted["os.features"] ?? []);
  if (!(offered["os.features"] ?? []).every((feature) => has.has(feature))) return undefined;
  const rank = runnable(wanted).indexOf(`${offered.architecture}/${offered.variant ?? ""}`);
  return rank < 0 ? undefined : rank;
}

/** Windows runs what was built for its own build; elsewhere the version is told for information. */
function isVersionRight(wanted: Platform, offered: Platform): boolean {
  const [a, b] = [wanted["os.version"] ?? "", offered["os.version"] ?? ""];
  if (wanted.os !== "windows" || a === "" || b === "") return true;
  const build = (version: string): string => version.split(".").slice(0, 3).join(".");
  return build(a) === build(b);
}

/** Attestations and other artifacts stand beside the images of an index and are no choice. */
function isImage({ platform, artifactType, annotations }: Descriptor): boolean {
  if (annotations?.["vnd.docker.reference.type"] === "attestation-manifest") return false;
  if (artifactType !== undefined && platform === undefined) return false;
  return platform === undefined || platform.os !== "unknown" || platform.architecture !== "unknown";
}

/**
 * The descriptor of an index that fulfils a wish best: an image, or an index again. One without platform is taken when no
 * other fits: its config will tell.
 * @throws {GantryError} "not-found", in docker's words and with what there is
 */
export function choosePlatform(manifests: readonly Descriptor[], wish: PlatformWish): Descriptor {
  const images = manifests.filter(isImage);
  let best: { readonly descriptor: Descriptor; readonly rank: number; readonly ties: number } | undefined;
  for (const descriptor of images) {
    const { platform } = descriptor;
    const rank = platform === undefined ? Infinity : platformRank(wish, platform);
    if (rank === undefined) continue;
    const ties = closeness(wish, platform);
    if (best === undefined || rank < best.rank || (rank === best.rank && ties > best.ties))
      best = { descriptor, rank, ties };
  }
  if (best !== undefined) return best.descriptor;
  const offered = [...new Set(images.map(({ platform }) => (platform ? formatPlatform(platform) : "")))];
  throw new GantryError(
    "not-found",
    `no matching manifest for ${formatPlatform(wish)} in the manifest list entries: ` +
      (offered.length === 0 ? "there is no image in it" : `there are ${shortened(offered).join(", ")}`),
    { hint: offered.length === 0 ? "it may be an artifact that is no image" : "choose one with --platform" },
  );
}

/** Decides between descriptors of one platform: the version that was asked for, then the most features. */
function closeness(wish: PlatformWish, platform: Platform | undefined): number {
  const version = wish["os.version"];
  const isSame = version !== undefined && platform?.["os.version"] === version;
  return (isSame ? 1000 : 0) + Math.min(999, platform?.["os.features"]?.length ?? 0);
}

function shortened(names: readonly string[]): readonly string[] {
  return names.length > 30 ? [...names.slice(0, 30), "…"] : names;
}
