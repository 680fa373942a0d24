import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { GantryError, sha256 } from "../lib/index.ts";
import {
  acceptedManifests,
  childrenOf,
  isNonDistributable,
  maxManifestBytes,
  mediaTypes,
  parseDescriptor,
  parseManifest,
} from "./manifest.ts";

const digest = sha256("x");
const blob = { mediaType: mediaTypes.ociLayerGzip, digest, size: 7 };
const config = { mediaType: mediaTypes.ociConfig, digest, size: 3 };
const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [blob] };
const index = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [{ mediaType: mediaTypes.ociManifest, digest, size: 5 }],
};
const bytesOf = (value: unknown): Buffer =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const parse = (value: unknown, type?: string): ReturnType<typeof parseManifest> =>
  parseManifest(bytesOf(value), type);

describe("what is read", () => {
  test("an image of OCI, with all that 1.1 brought", () => {
    const empty = { mediaType: mediaTypes.ociEmpty, digest: sha256("{}"), size: 2, data: "e30=" };
    const artifact = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: "application/vnd.example.sbom.v1",
      config: empty,
      layers: [empty],
      subject: { mediaType: mediaTypes.ociManifest, digest, size: 9 },
      annotations: { "org.opencontainers.image.created": "2026-11-25T00:00:00Z", __proto__x: "1" },
    };
    const read = parse(artifact, mediaTypes.ociManifest);
    const { schemaVersion: _, ...fields } = artifact;
    expect(read).toEqual({ kind: "image", ...fields });
    expect(childrenOf(read)).toEqual([empty, empty]);
  });

  test("an index, with platforms, urls, nested indexes and unknown kinds", () => {
    const manifests = [
      {
        mediaType: mediaTypes.ociManifest,
        digest,
        size: 1,
        platform: {
          architecture: "amd64",
          os: "windows",
          "os.version": "10.0",
          "os.features": ["win32k"],
          variant: "v2",
        },
        annotations: { a: "b" },
        artifactType: "application/x",
        urls: ["https://example.com/x"],
      },
      { mediaType: mediaTypes.ociIndex, digest, size: 1 },
      { mediaType: "text/plain; charset=utf-8", digest: `sha512:${"a".repeat(128)}`, size: 0 },
    ];
    expect(parse({ ...index, manifests })).toMatchObject({ kind: "index", manifests });
  });

  test("docker's manifest and list", () => {
    const read = parse(
      {
        ...image,
        mediaType: mediaTypes.dockerManifest,
        config: { ...config, mediaType: mediaTypes.dockerConfig },
      },
      `${mediaTypes.dockerManifest}; charset=utf-8`,
    );
    expect(read.mediaType).toBe(mediaTypes.dockerManifest);
    expect(parse({ ...index, mediaType: mediaTypes.dockerList }).kind).toBe("index");
    expect(acceptedManifests).toHaveLength(4);
  });

  test("a document without type has the transport's, or what it looks like", () => {
    const { mediaType: _, ...bare } = image;
    const { mediaType: __, ...bareIndex } = index;
    expect(parse(bare).mediaType).toBe(mediaTypes.ociManifest);
    expect(parse(bareIndex).mediaType).toBe(mediaTypes.ociIndex);
    expect(parse(bare, mediaTypes.dockerManifest).mediaType).toBe(mediaTypes.dockerManifest);
    for (const plain of ["application/json", "text/plain; charset=utf-8", ""])
      expect(parse(image, plain).mediaType).toBe(mediaTypes.ociManifest);
  });

  test("what Go writes for nothing", () => {
    const read = parse({ ...image, layers: null, annotations: null, subject: null, artifactType: "" });
    expect(read).toEqual({ kind: "image", mediaType: mediaTypes.ociManifest, config, layers: [] });
    expect(parse({ ...index, manifests: null })).toMatchObject({ manifests: [] });
    const bare = { ...blob, urls: null, platform: null, annotations: null, data: null };
    expect(parseDescriptor(bare, "x")).toEqual(blob);
  });

  test("layers that are fetched from elsewhere", () => {
    const of = (mediaType: string): boolean => isNonDistributable({ ...blob, mediaType });
    expect(of(mediaTypes.dockerForeignLayer)).toBe(true);
    expect(of("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd")).toBe(true);
    expect(of(mediaTypes.ociLayerZstd)).toBe(false);
  });
});

const wrongDescriptor = (fields: object): object => ({ ...image, layers: [{ ...blob, ...fields }] });

describe("what is refused", () => {
  const cases: readonly [name: string, document: unknown, message: string, type?: string][] = [
    ["no JSON", "{", "it is no JSON document"],
    ["nothing", "", "it is no JSON document"],
    ["a byte order mark", `\ufeff${JSON.stringify(image)}`, "it is no JSON document"],
    ["a list", "[]", "the manifest is [], not an object"],
    ["no version", { ...image, schemaVersion: undefined }, "schemaVersion is missing, not 2"],
    ["a version in words", { ...image, schemaVersion: "2" }, 'schemaVersion is "2", not 2'],
    ["another version", { ...image, schemaVersion: 3 }, "schemaVersion is 3, not 2"],
    ["schema 1", { schemaVersion: 1, fsLayers: [] }, "schema version 1"],
    [
      "schema 1 by its type",
      image,
      "schema version 1",
      "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ],
    ["an unknown type", { ...image, mediaType: "application/x" }, "unsupported manifest media type"],
    ["a type that every object has", { ...image, mediaType: "constructor" }, "no media type"],
    ["a type that is none", { ...image, mediaType: 1 }, "mediaType is 1, not a string"],
    ["two types", image, "but it was given as", mediaTypes.dockerManifest],
    ["an index given as an image", index, "but it was given as", mediaTypes.ociManifest],
    ["an image with manifests", { ...image, manifests: [] }, "an image manifest has no field manifests"],
    ["an index with layers", { ...index, layers: [] }, "an index has no field layers"],
    ["an index with a config", { ...index, config }, "an index has no field config"],
    ["an image with schema 1's layers", { ...image, fsLayers: [] }, "has no field fsLayers"],
    ["no config", { ...image, config: undefined }, "config is missing, not an object"],
    ["no layers", { ...image, layers: undefined }, "layers is missing, not a list"],
    ["layers that are none", { ...image, layers: {} }, "layers is {}, not a list"],
    ["a layer that is none", { ...image, layers: [1] }, "layers[0] is 1, not an object"],
    ["too many layers", { ...image, layers: Array(20_001).fill(1) }, "layers has more than 20000 entries"],
    ["a digest that is none", wrongDescriptor({ digest: "sha256:12" }), "layers[0].digest is"],
    ["a digest in capitals", wrongDescriptor({ digest: digest.toUpperCase() }), "layers[0].digest is"],
    ["an unknown digest", wrongDescriptor({ digest: `md5:${"a".repeat(32)}` }), "layers[0].digest is"],
    ["a path as digest", wrongDescriptor({ digest: "sha256:../../x" }), "layers[0].digest is"],
    ["a negative size", wrongDescriptor({ size: -1 }), "layers[0].size is -1"],
    ["half a byte", wrongDescriptor({ size: 0.5 }), "layers[0].size is 0.5"],
    ["a size beyond all", wrongDescriptor({ size: 1e300 }), "layers[0].size is 1e+300"],
    ["a size in words", wrongDescriptor({ size: "7" }), 'layers[0].size is "7"'],
    ["no type of a layer", wrongDescriptor({ mediaType: undefined }), "layers[0].mediaType is missing"],
    ["a type with a line end", wrongDescriptor({ mediaType: "a/b\r\nX: y" }), "which is no media type"],
    ["an endless type", wrongDescriptor({ mediaType: `a/${"b".repeat(300)}` }), "which is no media type"],
    ["urls that are none", wrongDescriptor({ urls: "x" }), 'layers[0].urls is "x", not a list'],
    ["an annotation that is none", { ...image, annotations: { a: 1 } }, 'annotations["a"] is 1'],
    ["a subject that is none", { ...image, subject: "x" }, 'subject is "x", not an object'],
    ["data that is no base64", wrongDescriptor({ data: "€" }), "layers[0].data is no base64"],
    ["data of another size", wrongDescriptor({ data: "eA==" }), "has 1 bytes, but its size is 7"],
    ["data of another digest", wrongDescriptor({ data: "eQ==", size: 1 }), "is not what its digest says"],
    [
      "a platform that is none",
      { ...index, manifests: [{ ...blob, platform: { os: 1 } }] },
      "manifests[0].platform.os is 1",
    ],
  ];
  test.each(cases.map(([name, document, message, type]) => ({ name, document, message, type })))(
    "$name",
    ({ document, message, type }) => {
      let thrown: unknown;
      try {
        parse(document, type);
      } catch (error) {
        thrown = error;
      }
      if (!(thrown instanceof GantryError)) throw new Error("it was accepted", { cause: thrown });
      expect(thrown.message).toContain(message);
      expect(thrown.message.length).toBeLessThan(500);
    },
  );

  test("more bytes than a manifest has", () => {
    expect(() => parse(" ".repeat(maxManifestBytes + 1))).toThrow("more than the 4194304");
  });

  test("what two readers would read differently", () => {
    const text = JSON.stringify(image);
    const twice = text.replace('"layers":', '"layers":[],"layers":');
    expect(() => parse(twice)).toThrow('the key "layers" stands twice');
    expect(() => parse(twice.replace('"layers"', '"l\\u0061yers"'))).toThrow('the key "layers" stands twice');
    expect(() => parse({ ...image, Layers: [] })).toThrow('the key "Layers" must be written "layers"');
    expect(() => parse({ ...image, layerſ: [] })).toThrow('must be written "layers"');
    expect(() => parse(wrongDescriptor({ Digest: digest }))).toThrow('must be written "digest"');
    const utf8 = Buffer.concat([
      Buffer.from('{"schemaVersion":2,"x":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    expect(() => parseManifest(utf8)).toThrow("it is not UTF-8");
  });

  test.each([
    ["lists", "[", "]"],
    ["objects", '{"a":', "}"],
  ])("a bomb of %s, quickly", (_, open, close) => {
    const begun = performance.now();
    const deep = open.repeat(600_000) + "1" + close.repeat(600_000);
    expect(() => parse(`{"schemaVersion":2,"x":${deep}}`)).toThrow("nested more than 100 levels deep");
    expect(() => parse(open.repeat(700_000))).toThrow("nested more than 100 levels deep");
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  test("4 MiB of one string, of backslashes, of keys: quickly", () => {
    const begun = performance.now();
    const fill = maxManifestBytes - 60;
    expect(() => parse(`{"schemaVersion":3,"a":"${"x".repeat(fill)}"}`)).toThrow("schemaVersion is 3");
    expect(() => parse(`{"schemaVersion":3,"a":"${'\\"'.repeat(fill / 2)}"}`)).toThrow("schemaVersion is 3");
    expect(() => parse(`{"a":"${"\\".repeat(fill)}`)).toThrow("no JSON document");
    const keys = Array.from({ length: 300_000 }, (_, i) => `"${i}":1`).join(",");
    expect(() => parse(`{"schemaVersion":3,${keys}}`)).toThrow("schemaVersion is 3");
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});

test("data is checked by sha512, too", () => {
  const bytes = Buffer.from("hello");
  const hash = createHash("sha512").update(bytes).digest("hex");
  const given = { mediaType: "a/b", digest: `sha512:${hash}`, size: 5, data: bytes.toString("base64") };
  expect(parseDescriptor(given, "x").data).toBe(given.data);
});

test("what was parsed is parsed the same again, whatever stands beside it", () => {
  const text = fc.string({ maxLength: 20, unit: "grapheme" });
  const descriptor = fc.record(
    {
      mediaType: fc.constantFrom(mediaTypes.ociLayer, mediaTypes.ociIndex, "application/x"),
      digest: text.map((content) => sha256(content)),
      size: fc.maxSafeNat(),
      urls: fc.array(fc.webUrl(), { maxLength: 2 }),
      annotations: fc.dictionary(text, text, { noNullPrototype: true }),
      artifactType: fc.constant("application/y"),
      platform: fc.record({ architecture: text, os: text }),
    },
    { requiredKeys: ["mediaType", "digest", "size"] },
  );
  fc.assert(
    fc.property(
      descriptor,
      fc.array(descriptor),
      fc.json(),
      fc.boolean(),
      (first, others, extra, isIndex) => {
        const document = isIndex
          ? { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [first, ...others] }
          : { ...image, config: first, layers: others };
        const read = parse(JSON.stringify({ ...document, extra }));
        const { kind: _, ...fields } = read;
        expect(parse({ schemaVersion: 2, ...fields })).toEqual(read);
        expect(childrenOf(read)).toEqual([first, ...others]);
      },
    ),
    { numRuns: 60 },
  );
});
