/** Manifests and names of images, changed at random. */
import {
  canonicalName,
  childrenOf,
  choosePlatform,
  hostPlatform,
  mediaTypes,
  parseManifest,
  parsePlatform,
  parseReference,
} from "../../src/image/index.ts";
import { GantryError, isDigest, sha256 } from "../../src/lib/index.ts";
import type { Random } from "./random.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const digest = sha256("");
const layer = {
  mediaType: mediaTypes.ociLayerGzip,
  digest,
  size: 0,
  data: "",
  annotations: { a: "b" },
  urls: ["http://x"],
};
const config = { mediaType: mediaTypes.ociEmpty, digest: sha256("{}"), size: 2, data: "e30=" };
const seeds: readonly Json[] = [
  {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: "a/b",
    config,
    layers: [layer],
    subject: layer,
    annotations: {},
  },
  {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: { ...config, data: null },
    layers: [layer, layer],
  },
  {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      {
        ...layer,
        mediaType: mediaTypes.ociManifest,
        platform: { os: "linux", architecture: "arm", variant: "v7", "os.features": ["a"] },
      },
      { ...layer, mediaType: mediaTypes.ociIndex, platform: { os: "unknown", architecture: "unknown" } },
      { ...layer, mediaType: mediaTypes.ociManifest },
    ],
  },
];

const keys = [
  "schemaVersion",
  "mediaType",
  "config",
  "layers",
  "manifests",
  "Layers",
  "digest",
  "size",
  "platform",
  "subject",
  "__proto__",
  "constructor",
  "toString",
  "data",
  "os",
  "architecture",
];
const values: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1e300,
  2,
  "",
  "x",
  "constructor",
  "__proto__",
  digest,
  "sha512:" + "a".repeat(128),
  mediaTypes.ociIndex,
  [],
  {},
  [[]],
  ["linux"],
  { a: 1 },
  "\ud800",
  "e30=",
];

function changed(random: Random, value: Json, depth = 0): Json {
  if (depth > 0 && random.below(12) === 0) return random.pick(values);
  if (Array.isArray(value)) {
    const list = value.map((item) => (random.below(3) === 0 ? changed(random, item, depth + 1) : item));
    return random.below(6) === 0 ? [...list, random.pick(values)] : list;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(() => random.below(25) > 0)
    .map(([key, item]): [string, Json] => [
      key,
      random.below(3) === 0 ? changed(random, item, depth + 1) : item,
    ]);
  if (random.below(8) === 0) entries.push([random.pick(keys), random.pick(values)]);
  return Object.fromEntries(entries);
}

/** @returns whether it was accepted. @throws what is not a GantryError */
export function tryManifest(random: Random): boolean {
  const bytes = Buffer.from(JSON.stringify(changed(random, random.pick(seeds))));
  for (let flips = random.below(8) === 0 ? 1 + random.below(3) : 0; flips > 0; flips--)
    bytes[random.below(bytes.length)] = random.below(256);
  const type = random.pick([
    undefined,
    mediaTypes.ociIndex,
    mediaTypes.ociManifest,
    "application/json",
    "constructor",
  ]);
  return ours(() => {
    const manifest = parseManifest(bytes, type);
    for (const child of childrenOf(manifest))
      if (!isDigest(child.digest) || !Number.isSafeInteger(child.size) || child.size < 0)
        throw new Error(`a descriptor that is none: ${JSON.stringify(child)}`);
    if (manifest.kind === "index") ours(() => void choosePlatform(manifest.manifests, hostPlatform()));
    const { kind: _, ...fields } = manifest;
    const again = parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, ...fields })));
    if (JSON.stringify(again) !== JSON.stringify(manifest))
      throw new Error("read differently the second time");
  });
}

const pieces = [
  "a",
  "B",
  "0",
  ".",
  ":",
  "/",
  "@",
  "-",
  "_",
  "__",
  "[",
  "]",
  "::1",
  "localhost",
  "docker.io",
  "library",
  "index.docker.io",
  digest,
  "sha256:",
  "a".repeat(64),
  "x".repeat(130),
  "é",
  "\0",
  "\n",
  " ",
  "5000",
];

/** @returns whether it was accepted. @throws what is not a GantryError, or a name that is not itself again */
export function tryReference(random: Random): boolean {
  const text = Array.from({ length: 1 + random.below(8) }, () => random.pick(pieces)).join("");
  ours(() => void parsePlatform(text));
  return ours(() => {
    const reference = parseReference(text);
    const again = parseReference(canonicalName(reference));
    if (JSON.stringify(again) !== JSON.stringify(reference))
      throw new Error(`${canonicalName(reference)} is another name`);
  });
}

function ours(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof GantryError) return false;
    throw error;
  }
}
