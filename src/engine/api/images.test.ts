import { afterEach, describe, expect, test } from "bun:test";
import type { BuildRequest } from "../../build/index.ts";
import type { ImageRecord, Layer } from "../../image/index.ts";
import { GantryError, parseDigest } from "../../lib/index.ts";
import { serveApi, type TestApi } from "./api.test-double.ts";
import { selectImages } from "./image-filters.ts";
import { imagesUse } from "./image-use.ts";
import { parseChanges } from "./import-changes.ts";
import { parseBuild } from "./parse-build.ts";
import { wirePathStat } from "./wire-path-stat.ts";

const digest = (letter: string): ReturnType<typeof parseDigest> => parseDigest(`sha256:${letter.repeat(64)}`);

function image(letter: string, change: Partial<ImageRecord> = {}): ImageRecord {
  return {
    id: digest(letter),
    config: {
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [] },
      history: [],
    },
    repoTags: [`${letter}:latest`],
    repoDigests: [],
    size: 10,
    createdAtMs: 1000 * letter.charCodeAt(0),
    parent: undefined,
    chainId: undefined,
    lowers: [],
    layerDirs: [],
    snapshotter: "overlay",
    ...change,
  };
}

const apis: TestApi[] = [];
afterEach(() => {
  for (const api of apis.splice(0)) api.stop();
});
async function serve(parts: Parameters<typeof serveApi>[0]): Promise<TestApi> {
  const api = await serveApi(parts);
  apis.push(api);
  return api;
}

describe("listing images", () => {
  const labelled = image("c", { config: { ...image("c").config, config: { Labels: { tier: "web" } } } });
  const all = [
    image("a"),
    image("b", { repoTags: [] }),
    labelled,
    image("d", { repoTags: [], parent: digest("a") }),
    image("e", { parent: digest("d") }),
  ];
  const find = (reference: string): ImageRecord => {
    const found = all.find((one) => one.repoTags.includes(reference));
    if (found === undefined) throw new GantryError("not-found", `No such image: ${reference}`);
    return found;
  };
  test.each([
    ["", false, "ecba"],
    ["", true, "edcba"],
    ['{"dangling":["true"]}', false, "b"],
    ['{"dangling":["0"]}', false, "eca"],
    ['{"label":["tier=web"]}', false, "c"],
    ['{"reference":["[ac]"]}', false, "ca"],
    ['{"reference":["*:latest"]}', false, "eca"],
    ['{"before":["c:latest"]}', false, "ba"],
    ['{"since":["c:latest"]}', false, "e"],
    ['{"until":["98.5"]}', false, "ba"],
  ])("filters %s, all %p: %s", (filters, withIntermediate, want) => {
    const chosen = selectImages(all, filters, withIntermediate, { find, nowMs: 0 });
    expect(chosen.map((one) => one.id.charAt(7)).join("")).toBe(want);
  });

  test("an unknown filter and an unknown image", () => {
    expect(() => selectImages(all, '{"nope":["x"]}', false, { find, nowMs: 0 })).toThrow(
      "invalid filter 'nope'",
    );
    expect(() => selectImages(all, '{"before":["x"]}', false, { find, nowMs: 0 })).toThrow(
      "No such image: x",
    );
  });
});

test("what images share: a layer of two counts once, and as shared", () => {
  const layer = (letter: string, size: number, parent?: string): Layer => ({
    diffId: digest(letter),
    chainId: digest(letter),
    parent: parent === undefined ? undefined : digest(parent),
    dir: letter,
    size,
  });
  const layers = [layer("1", 100), layer("2", 20, "1"), layer("3", 3, "1")];
  const layerOf = (id: string): Layer => {
    const found = layers.find((one) => one.chainId === id);
    if (found === undefined) throw new Error(id);
    return found;
  };
  const use = imagesUse(
    [image("a", { chainId: digest("2") }), image("b", { chainId: digest("3") })],
    layerOf,
    [digest("a"), digest("a")],
  );
  expect(use.layersSize).toBe(123);
  expect([...use.of.values()]).toEqual([
    { containers: 2, sharedSize: 100 },
    { containers: 0, sharedSize: 100 },
  ]);
});

describe("changes of an import", () => {
  test.each([
    [['CMD ["/bin/sh"]'], { Cmd: ["/bin/sh"] }],
    [["CMD echo hi"], { Cmd: ["/bin/sh", "-c", "echo hi"] }],
    [['ENTRYPOINT ["a", "b"]'], { Entrypoint: ["a", "b"] }],
    [['ENV A=1 B="x y"', "env C d e"], { Env: ["A=1", "B=x y", "C=d e"] }],
    [["EXPOSE 80 53/udp"], { ExposedPorts: { "80/tcp": {}, "53/udp": {} } }],
    [["LABEL a=b", "LABEL c='d e'"], { Labels: { a: "b", c: "d e" } }],
    [
      ["USER 1", "WORKDIR /w", "STOPSIGNAL SIGINT", "VOLUME /a /b"],
      { User: "1", WorkingDir: "/w", StopSignal: "SIGINT", Volumes: { "/a": {}, "/b": {} } },
    ],
  ])("%j", (lines, want) => expect(parseChanges(lines)).toEqual(want));

  test.each([["RUN x"], ["nothing"], ["EXPOSE 99999999"]])("%j is refused", (line) =>
    expect(() => parseChanges([line])).toThrow(GantryError),
  );
});

describe("the query of a build", () => {
  test("what the docker command sends", () => {
    const query = new URLSearchParams(
      "t=a&t=b:1&dockerfile=D&q=0&nocache=1&rm=1&forcerm=1&memory=64&memswap=0&cpushares=2&cpusetcpus=0-1&shmsize=0&networkmode=default&target=x&version=1&remote=",
    );
    query.set("buildargs", '{"A":"1","B":null}');
    query.set("labels", '{"l":"m"}');
    query.set("ulimits", '[{"Name":"nofile","Soft":1,"Hard":2}]');
    query.set("cachefrom", "[]");
    expect(parseBuild(query)).toEqual({
      dockerfile: "D",
      target: "x",
      buildArgs: { A: "1", B: null },
      labels: { l: "m" },
      tags: ["a", "b:1"],
      noCache: true,
      cacheFrom: [],
      pull: false,
      quiet: false,
      remove: true,
      forceRemove: true,
      network: "default",
      extraHosts: [],
      limits: {
        memoryBytes: 64,
        cpuShares: 2,
        cpusetCpus: "0-1",
        ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
      },
    });
  });

  test.each([
    ["version=2", "classic builder only"],
    ["session=x", "classic builder only"],
    ["squash=1", "squash is not supported"],
    ["outputs=[{}]", "build outputs"],
    ["buildargs=[", "not JSON"],
    ["labels=[1]", "labels must be an object"],
    ["memory=lots", "invalid value for memory"],
  ])("%s is refused", (text, message) =>
    expect(() => parseBuild(new URLSearchParams(text))).toThrow(message),
  );

  test("messages go out one by one; a failing step is a message with its exit code", async () => {
    const contexts: string[] = [];
    const api = await serve({
      builder: {
        build: async (request: BuildRequest, onMessage) => {
          for await (const piece of request.context) contexts.push(Buffer.from(piece).toString());
          onMessage({ stream: "Step 1/1 : RUN exit 6\n" });
          throw new GantryError("invalid", "The command '/bin/sh -c exit 6' returned a non-zero code: 6", {
            fields: { exitCode: 6 },
          });
        },
      },
    });
    const answer = await api.fetch("/build?t=x", {
      method: "POST",
      body: "tar",
      headers: { "Content-Type": "application/x-tar" },
    });
    expect(answer.status).toBe(200);
    expect(
      (await answer.text())
        .trim()
        .split("\r\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { stream: "Step 1/1 : RUN exit 6\n" },
      {
        errorDetail: { code: 6, message: "The command '/bin/sh -c exit 6' returned a non-zero code: 6" },
        error: "The command '/bin/sh -c exit 6' returned a non-zero code: 6",
      },
    ]);
    expect(contexts.join("")).toBe("tar");
  });

  test("a failure before the first message is an HTTP error", async () => {
    const api = await serve({
      builder: {
        build: async () => {
          throw new GantryError("invalid", "dockerfile parse error line 1");
        },
      },
    });
    const answer = await api.fetch("/build", { method: "POST" });
    expect([answer.status, await answer.json()]).toEqual([400, { message: "dockerfile parse error line 1" }]);
  });
});

describe("images over HTTP", () => {
  test.each([
    ["POST", "/images/create?fromImage=UPPER", 400, "repository name"],
    ["POST", "/images/none/push?tag=1", 404, "An image does not exist locally with the tag: none"],
    ["POST", "/images/a/push?tag=2", 404, "tag does not exist: a:2"],
    ["POST", "/images/a/push?tag=1&compression=lzma", 400, "invalid compression"],
    ["GET", "/images/search", 400, "no term"],
    ["POST", "/images/create", 400, "neither fromImage nor fromSrc"],
    ["POST", "/images/create?fromSrc=http://x", 501, "does not import from URLs"],
    ["POST", "/session", 501, "classic builder only"],
    ["GET", "/images/none/json", 404, "No such image: none:latest"],
  ])("%s %s: %d", async (method, path, status, message) => {
    const api = await serve({
      images: {
        list: () => [image("a")],
        find: (name) => {
          if (name === "a:1") return image("a");
          throw new GantryError("not-found", `No such image: ${name}:latest`);
        },
      },
    });
    const answer = await api.fetch(path, { method });
    expect(answer.status).toBe(status);
    expect(((await answer.json()) as { message: string }).message).toContain(message);
  });

  test("load tells what it loaded, remove what it removed, and both are events", async () => {
    const api = await serve({
      images: {
        load: async (source, options) => {
          let bytes = 0;
          for await (const piece of source) bytes += piece.length;
          options?.onProgress?.({ layer: digest("f"), status: "unpacking" });
          return bytes === 3
            ? [
                { id: digest("a"), references: ["a:1", "a:2"] },
                { id: digest("b"), references: [] },
              ]
            : [];
        },
        remove: async () => [{ untagged: "a:1" }, { deleted: digest("a") }],
      },
    });
    const loaded = await api.fetch("/images/load", { method: "POST", body: "tar" });
    expect(
      (await loaded.text())
        .trim()
        .split("\r\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { id: "f".repeat(12), status: "Loading layer", progressDetail: {} },
      { stream: "Loaded image: a:1\n" },
      { stream: "Loaded image: a:2\n" },
      { stream: `Loaded image ID: ${digest("b")}\n` },
    ]);
    const removed = await api.fetch("/images/a:1?force=1", { method: "DELETE" });
    expect(await removed.json()).toEqual([{ Untagged: "a:1" }, { Deleted: digest("a") }]);
    expect(api.events.recent().map(({ action }) => action)).toEqual(["load", "load", "untag", "delete"]);
  });
});

test.each([
  [
    "/etc/passwd",
    { type: "file", mode: 0o644, size: 5, mtimeNs: "1700000000250000000", linkPath: "" },
    { name: "passwd", size: 5, mode: 0o644, mtime: "2023-11-14T22:13:20.25Z", linkTarget: "" },
  ],
  [
    "/tmp/.",
    { type: "dir", mode: 0o1777, size: 0, mtimeNs: "0", linkPath: "" },
    { name: "tmp", size: 0, mode: 2 ** 31 + 2 ** 20 + 0o777, mtime: "1970-01-01T00:00:00Z", linkTarget: "" },
  ],
  [
    "/",
    { type: "dir", mode: 0o755, size: 0, mtimeNs: "0", linkPath: "" },
    { name: "/", size: 0, mode: 2 ** 31 + 0o755, mtime: "1970-01-01T00:00:00Z", linkTarget: "" },
  ],
] as const)("docker cp is told of %s", (path, file, want) => expect(wirePathStat(path, file)).toEqual(want));
