/** Pull, push, login, search and distribution by the API, with a store and registries that play their parts. */
import { afterEach, expect, test } from "bun:test";
import type { AuthConfig } from "../../distribution/index.ts";
import type { ImageSource, PullRequest, RawManifest, Reference } from "../../image/index.ts";
import { GantryError, parseDigest, sha256 } from "../../lib/index.ts";
import { type Parts, serveApi, type TestApi } from "./api.test-double.ts";

const digest = parseDigest(`sha256:${"a".repeat(64)}`);
const layer = parseDigest(`sha256:${"b".repeat(64)}`);

const apis: TestApi[] = [];
afterEach(() => {
  for (const api of apis.splice(0)) api.stop();
});

async function serve(parts: Parts): Promise<TestApi> {
  const api = await serveApi(parts);
  apis.push(api);
  return api;
}

function rawOf(value: object, mediaType: string): RawManifest {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, mediaType, digest: sha256(bytes) };
}

const config = Buffer.from('{"architecture":"arm64","os":"linux","variant":"v8","secret":"x"}');
const imageManifest = rawOf(
  {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: sha256(config),
      size: config.length,
    },
    layers: [],
  },
  "application/vnd.oci.image.manifest.v1+json",
);

interface Asked {
  readonly reference: Reference;
  readonly auth: AuthConfig | undefined;
}

/** Registries that have one repository. */
function registries(
  asked: Asked[] = [],
  manifest: RawManifest = imageManifest,
): NonNullable<Parts["registries"]> {
  const source: ImageSource = {
    name: "test",
    manifest: () => Promise.resolve(manifest),
    async *blob() {
      yield config;
    },
    referrers: () => Promise.resolve([]),
    tags: () => Promise.resolve(["1", "2"]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return {
    source: (reference, auth) => {
      asked.push({ reference, auth });
      return Promise.resolve(source);
    },
  };
}

const lines = async (response: Response): Promise<readonly Record<string, unknown>[]> =>
  (await response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const registryError = (code: "not-found" | "denied", fields: Record<string, string | number>): GantryError =>
  new GantryError(code, "asked: no", { fields: { said: "no", ...fields } });

test("pull: what is told, with the client's credentials,", async () => {
  const asked: Asked[] = [];
  const requests: PullRequest[] = [];
  const api = await serve({
    registries: registries(asked),
    images: {
      pull: (request) => {
        requests.push(request);
        for (const status of ["waiting", "downloaded", "complete"] as const)
          request.onProgress?.({ layer, status });
        return Promise.resolve({ id: digest, digest, upToDate: false });
      },
    },
  });
  const auth = { username: "u", password: "p" };
  const response = await api.fetch("/images/create?fromImage=r.example/team/app&tag=1&platform=linux/arm64", {
    method: "POST",
    headers: { "X-Registry-Auth": Buffer.from(JSON.stringify(auth)).toString("base64url") },
  });
  expect(response.status).toBe(200);
  const short = "b".repeat(12);
  expect(
    (await lines(response)).map(({ status, id }) => (id === undefined ? status : `${id}: ${status}`)),
  ).toEqual([
    "1: Pulling from team/app",
    `${short}: Pulling fs layer`,
    `${short}: Verifying Checksum`,
    `${short}: Download complete`,
    `${short}: Pull complete`,
    `Digest: ${digest}`,
    "Status: Downloaded newer image for r.example/team/app:1",
  ]);
  expect(asked).toEqual([{ reference: { domain: "r.example", path: "team/app", tag: "1" }, auth }]);
  expect(requests[0]?.platform).toMatchObject({ os: "linux", architecture: "arm64" });
});

test("pull: without tag all tags; a digest as tag", async () => {
  const asked: Asked[] = [];
  const api = await serve({
    registries: registries(asked),
    images: { pull: () => Promise.resolve({ id: digest, digest, upToDate: true }) },
  });
  const all = await lines(await api.post("/images/create?fromImage=r.example/app"));
  expect(all.map(({ id }) => id).filter((id) => id !== undefined)).toEqual(["1", "2"]);
  expect(all.at(-1)?.["status"]).toBe("Status: Image is up to date for r.example/app");
  asked.length = 0;
  await api.post(`/images/create?fromImage=r.example/app&tag=${digest}`);
  expect(asked[0]?.reference).toEqual({ domain: "r.example", path: "app", digest });
});

const refusals = [
  {
    error: registryError("not-found", { registryCode: "MANIFEST_UNKNOWN", status: 404 }),
    says: "manifest for r.example/app:1 not found: manifest unknown: manifest unknown",
  },
  {
    error: registryError("not-found", { registryCode: "NAME_UNKNOWN", status: 404 }),
    says: "repository r.example/app not found: no",
  },
  {
    error: registryError("denied", { registryCode: "DENIED", status: 403 }),
    says: "pull access denied for r.example/app, repository does not exist or may require 'docker login': no",
  },
];

test.each(refusals)(
  "pull that fails before anything is told is an answer of its own: $says",
  async ({ error, says }) => {
    const api = await serve({ registries: registries(), images: { pull: () => Promise.reject(error) } });
    const response = await api.post("/images/create?fromImage=r.example/app&tag=1");
    expect(response.status).toBe(404);
    expect(((await response.json()) as { message: string }).message).toBe(says);
  },
);

test("pull that fails in the middle: the last message says so", async () => {
  const api = await serve({
    registries: registries(),
    images: {
      pull: ({ onProgress }) => {
        onProgress?.({ layer, status: "waiting" });
        return Promise.reject(new GantryError("exhausted", "no space left on the disk"));
      },
    },
  });
  const response = await api.post("/images/create?fromImage=r.example/app&tag=1");
  expect(response.status).toBe(200);
  expect((await lines(response)).at(-1)).toMatchObject({
    error: "no space left on the disk",
    errorDetail: { message: "no space left on the disk" },
  });
});

test.each([
  ["POST", "/images/create?fromImage=UPPER&tag=1", 400],
  ["POST", "/images/create?fromImage=r.example/app&tag=a%20b", 400],
  ["POST", "/images/create?fromImage=r.example/app&tag=1&platform=a/b/c/d/e", 400],
  ["POST", "/images/nothere/push?tag=1", 404],
  ["POST", "/images/nothere/push?compression=lzma", 400],
  ["GET", "/images/search", 400],
  ["GET", "/images/search?term=x&filters=%7B%22nope%22%3A%5B%22x%22%5D%7D", 400],
] as const)("%s %s is refused with %d, and no registry is asked", async (method, path, status) => {
  const api = await serve({ images: { list: () => [] } });
  expect((await api.fetch(path, { method })).status).toBe(status);
});

test("login: the registry's answer; 401 for a wrong password alone, so that clients ask again", async () => {
  const answers = [
    () => Promise.resolve({ status: "Login Succeeded", identityToken: "t" }),
    () => Promise.reject(new GantryError("denied", "401 Unauthorized")),
    () => Promise.reject(new GantryError("unavailable", "nobody there")),
  ];
  const seen: string[] = [];
  const api = await serve({
    registries: {
      login: (server) => {
        seen.push(server);
        return answers.shift()?.() ?? Promise.reject(new Error("no answer"));
      },
    },
  });
  const auth = { username: "u", password: "p", serveraddress: "r.example" };
  expect(await (await api.post("/auth", auth)).json()).toEqual({
    Status: "Login Succeeded",
    IdentityToken: "t",
  });
  expect((await api.post("/auth", { username: "u", password: "p" })).status).toBe(401);
  expect((await api.post("/auth", auth)).status).toBeGreaterThanOrEqual(500);
  expect(seen).toEqual(["r.example", "docker.io", "r.example"]);
});

test("distribution: an image's platform is its config's, an index tells its own", async () => {
  const api = await serve({ registries: registries() });
  expect(await (await api.fetch("/distribution/r.example/app:1/json")).json()).toEqual({
    Descriptor: {
      mediaType: imageManifest.mediaType,
      digest: imageManifest.digest,
      size: imageManifest.bytes.length,
    },
    Platforms: [{ architecture: "arm64", os: "linux", variant: "v8" }],
  });
  const platform = { architecture: "riscv64", os: "linux" };
  const { mediaType } = imageManifest;
  const index = rawOf(
    { schemaVersion: 2, manifests: [{ mediaType, digest, size: 5, platform }] },
    "application/vnd.oci.image.index.v1+json",
  );
  const other = await serve({ registries: registries([], index) });
  const answer = (await (await other.fetch("/distribution/app/json")).json()) as { Platforms: object[] };
  expect(answer.Platforms).toEqual([platform]);
});

const found = (name: string, star_count: number, is_official: boolean) => ({
  name,
  description: "",
  star_count,
  is_official,
  is_automated: false,
});

test("search: filters and the limit", async () => {
  const limits: number[] = [];
  const api = await serve({
    registries: {
      search: (_term, limit) => {
        limits.push(limit);
        return Promise.resolve([found("a", 10, true), found("b", 2, true), found("c", 30, false)]);
      },
    },
  });
  const filters = encodeURIComponent(JSON.stringify({ stars: ["5"], "is-official": ["true"] }));
  const answer = await api.fetch(`/images/search?term=x&limit=1000&filters=${filters}`);
  expect(((await answer.json()) as { name: string }[]).map(({ name }) => name)).toEqual(["a"]);
  expect(limits).toEqual([100]);
});
