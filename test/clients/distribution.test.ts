/** The distribution client before Debian's docker-registry: passwords, tokens, TLS, mounts, mirrors, copies; skopeo looks on. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import {
  type AuthConfig,
  copyImage,
  type CopyEvent,
  Registries,
  type RegistriesConfig,
} from "../../src/distribution/index.ts";
import {
  createLayout,
  type Descriptor,
  type ImageSource,
  mediaTypes,
  openLayout,
  parseReference,
  type RawManifest,
} from "../../src/image/index.ts";
import { sha256 } from "../../src/lib/index.ts";
import { ForeignRegistry } from "../lib/foreign-registry.ts";
import { TestAuthority, type TestPair } from "../lib/test-certificates.ts";
import { TokenServer } from "../lib/token-server.ts";
import { MemorySource } from "../system/image-source.ts";

const dir = mkdtempSync("/tmp/gantry-distribution-");
const alice: AuthConfig = { username: "alice", password: "pw" };
let authority: TestAuthority;
let server: TestPair;
let client: TestPair;
let open: ForeignRegistry;

beforeAll(async () => {
  authority = await TestAuthority.create(dir);
  [server, client] = [await authority.sign("server"), await authority.sign("client")];
  open = await ForeignRegistry.start();
});

afterAll(async () => {
  await open[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const plain = (): Registries => new Registries({ environment: {} });
const at = (host: string, name: string): ReturnType<typeof parseReference> =>
  parseReference(`${host}/${name}`);

/** A layer of a kilobyte goes in one request, one of some megabytes is streamed. */
function twoLayers(): MemorySource {
  const source = new MemorySource();
  source.image({ tars: [randomBytes(1_000), randomBytes(3_000_000)] });
  return source;
}

interface PushPlan {
  readonly name: string;
  readonly host?: string;
  readonly auth?: AuthConfig;
  readonly registries?: Registries;
}

async function push(
  source: ImageSource,
  { name, host = open.host, auth, registries = plain() }: PushPlan,
): Promise<{ readonly raw: RawManifest; readonly events: readonly CopyEvent[] }> {
  const reference = at(host, name);
  const events: CopyEvent[] = [];
  await using target = await registries.target(reference, auth);
  const raw = await copyImage({
    source,
    target,
    tag: reference.tag,
    all: true,
    referrers: true,
    onProgress: (event) => events.push(event),
  });
  return { raw, events };
}

const endings = (events: readonly CopyEvent[]): readonly string[] =>
  events.map(({ status }) => status).filter((status) => status !== "waiting" && status !== "copying");

/** Digests of all blobs, read to their end. */
async function digests(source: ImageSource, blobs: readonly Descriptor[]): Promise<readonly string[]> {
  return Promise.all(
    blobs.map(async (blob) => sha256(Buffer.concat(await Array.fromAsync(source.blob(blob))))),
  );
}

async function skopeo(...words: readonly string[]): Promise<string> {
  const child = Bun.spawn(["skopeo", "--insecure-policy", ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 30_000,
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(err);
  return out;
}

test("what is pushed is what is pulled, by us and by skopeo; what is there is not sent again", async () => {
  const source = twoLayers();
  const image = source.image({ tars: [randomBytes(500), randomBytes(2_500_000)] });
  const { raw, events } = await push(source, { name: "a/whole:1" });
  expect(raw.digest).toBe(image.manifest.digest);
  expect(endings(events)).toEqual(["done", "done", "done"]);
  expect(endings((await push(source, { name: "a/whole:2" })).events)).toEqual(["exists", "exists", "exists"]);

  await using back = await plain().source(at(open.host, "a/whole:2"));
  expect((await back.manifest()).bytes).toEqual(new Uint8Array(image.manifest.bytes));
  expect(await digests(back, image.layers)).toEqual(image.layers.map(({ digest }) => digest));
  expect([...(await back.tags())].sort()).toEqual(["1", "2"]);
  expect(await plain().catalog(open.host)).toContain("a/whole");
  const seen = await skopeo("inspect", "--tls-verify=false", "--raw", `docker://${open.host}/a/whole:1`);
  expect(sha256(Buffer.from(seen))).toBe(raw.digest);
});

test("an image of skopeo's comes and goes through an OCI layout bit for bit", async () => {
  const { raw } = await push(twoLayers(), { name: "a/round:1" });
  await skopeo("copy", "-q", "--src-tls-verify=false", `docker://${open.host}/a/round:1`, `oci:${dir}/sk:1`);
  await using layout = await openLayout(`${dir}/sk`, "1");
  await push(layout, { name: "b/round:1" });
  await using from = await plain().source(at(open.host, "b/round:1"));
  await using target = await createLayout(`${dir}/ours`);
  const copied = await copyImage({ source: from, target, tag: "1", all: true });
  expect(copied.digest).toBe(raw.digest);
  const seen = await skopeo("inspect", "--raw", `oci:${dir}/ours:1`);
  expect(sha256(Buffer.from(seen))).toBe(raw.digest);
});

test("a whole index, or one platform of it; a hole in it is refused unless it is asked for", async () => {
  const source = new MemorySource();
  const images = ["amd64", "arm64"].map((architecture) => ({
    architecture,
    ...source.image({ tars: [randomBytes(700)], architecture }),
  }));
  const list = images.map(({ architecture, manifest }) => ({
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    platform: { os: "linux", architecture },
  }));
  const index = source.put({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: list });
  await push(source, { name: "a/index:all" });
  await using whole = await plain().source(at(open.host, "a/index:all"));
  expect((await whole.manifest()).digest).toBe(index.digest);
  for (const { digest } of list) expect((await whole.manifest(digest)).digest).toBe(digest);

  await using target = await plain().target(at(open.host, "b/index"));
  const one = await copyImage({
    source: whole,
    target,
    tag: "arm",
    platform: { os: "linux", architecture: "arm64" },
  });
  expect<string | undefined>(one.digest).toBe(list[1]?.digest);
  source.manifests.delete(list[1]?.digest ?? "");
  await expect(push(source, { name: "a/hole:1" })).rejects.toThrow("manifest unknown");
});

test("a blob that a neighbour has is mounted", async () => {
  const source = twoLayers();
  await push(source, { name: "a/mount:1" });
  await using from = await plain().source(at(open.host, "a/mount:1"));
  expect(endings((await push(from, { name: "b/mount:1" })).events)).toEqual([
    "mounted",
    "mounted",
    "mounted",
  ]);
  // A source that only knows where the blobs once were.
  const knowing: ImageSource = Object.assign(source, {
    repositories: () => [`${open.host}/a/nothing`, `${open.host}/a/mount`, "elsewhere.example/a/mount"],
  });
  expect(endings((await push(knowing, { name: "c/mount:1" })).events)).toEqual([
    "mounted",
    "mounted",
    "mounted",
  ]);
});

test("what refers to an image is found by its tag where the registry keeps no list, and comes along", async () => {
  const source = twoLayers();
  const { raw } = await push(source, { name: "a/subject:1" });
  const subject = { mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length };
  const empty = source.add(Buffer.from("{}"), mediaTypes.ociEmpty);
  const signature = source.put({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: "application/x-signature",
    config: empty,
    layers: [empty],
    subject,
    annotations: { by: "alice" },
  });
  await using target = await plain().target(at(open.host, "a/subject"));
  await copyImage({ source, target, all: true });
  await using back = await plain().source(at(open.host, "a/subject:1"));
  expect(await back.referrers(raw.digest)).toEqual([
    {
      mediaType: mediaTypes.ociManifest,
      digest: signature.digest,
      size: signature.bytes.length,
      artifactType: "application/x-signature",
      annotations: { by: "alice" },
    },
  ]);
  expect(await back.referrers(raw.digest, "application/other")).toEqual([]);
  await push(back, { name: "b/subject:1" });
  await using copied = await plain().source(at(open.host, "b/subject:1"));
  expect((await copied.referrers(raw.digest)).map(({ digest }) => digest)).toEqual([signature.digest]);
});

test("deleting a manifest, and asking for what is not there", async () => {
  const { raw } = await push(twoLayers(), { name: "a/gone:1" });
  const registries = plain();
  await registries.delete(at(open.host, `a/gone:1`));
  await using source = await registries.source(at(open.host, "a/gone:1"));
  await expect(source.manifest(raw.digest)).rejects.toMatchObject({ code: "not-found" });
  await expect(source.manifest()).rejects.toMatchObject({
    code: "not-found",
    fields: { registryCode: "MANIFEST_UNKNOWN", status: 404 },
  });
});

test("basic auth: login, a right and a wrong password, none", async () => {
  const hash = await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(`${dir}/htpasswd`, `alice:${hash}\n`);
  await using registry = await ForeignRegistry.start({
    auth: { htpasswd: { realm: "test", path: `${dir}/htpasswd` } },
  });
  const { host } = registry;
  expect(await plain().login(host, alice)).toEqual({ status: "Login Succeeded" });
  await expect(plain().login(host, { ...alice, password: "no" })).rejects.toThrow("401 Unauthorized");
  await push(twoLayers(), { name: "p/x:1", host, auth: alice });
  await using none = await plain().source(at(host, "p/x:1"));
  await expect(none.manifest()).rejects.toMatchObject({ code: "denied" });
  const auth = Buffer.from("alice:pw").toString("base64");
  await using right = await plain().source(at(host, "p/x:1"), { auth });
  expect((await right.manifest()).bytes.length).toBeGreaterThan(0);
});

test("tokens: asked for once per right, renewed when old, refreshed without a password, none for nobody", async () => {
  await using tokens = new TokenServer(server);
  await using registry = await ForeignRegistry.start({ auth: tokens.section });
  const { host } = registry;
  const registries = plain();
  await push(twoLayers(), { name: "open/x:1", host, auth: alice, registries });
  const rights = new Set(tokens.asked.map(({ scopes }) => scopes.join(" ")));
  expect([...rights]).toEqual(["repository:open/x:pull,push"]);
  expect(tokens.asked.length).toBe(1);

  // Rights for both repositories of a mount.
  await using from = await registries.source(at(host, "open/x:1"), alice);
  const { events } = await push(from, { name: "own/y:1", host, auth: alice, registries });
  expect(endings(events)).toEqual(["mounted", "mounted", "mounted"]);
  expect(
    tokens.asked.some(({ scopes }) => scopes.join(" ").includes("own/y:pull,push repository:open/x:pull")),
  ).toBe(true);

  // Nobody may pull what is open, and nothing else.
  await using anybody = await plain().source(at(host, "open/x:1"));
  const raw = await anybody.manifest();
  await using closed = await plain().source(at(host, "own/y:1"));
  await expect(closed.manifest()).rejects.toMatchObject({ code: "denied" });
  await expect(push(anybody, { name: "open/z:1", host })).rejects.toMatchObject({ code: "denied" });

  // A token that has ended is replaced.
  tokens.life = 1;
  await using short = await plain().source(at(host, "own/y:1"), alice);
  const before = tokens.asked.length;
  expect((await short.manifest()).digest).toBe(raw.digest);
  expect((await short.manifest()).digest).toBe(raw.digest);
  expect(tokens.asked.length - before).toBe(2);

  const { identityToken } = await plain().login(host, alice);
  expect(identityToken).toBe("refresh-alice");
  await expect(plain().login(host, { ...alice, password: "no" })).rejects.toThrow(
    "incorrect username or password",
  );
  await using refreshed = await plain().source(at(host, "own/y:1"), { identitytoken: "refresh-alice" });
  expect((await refreshed.manifest()).digest).toBe(raw.digest);
  expect(tokens.asked.at(-1)).toMatchObject({ method: "POST", user: "alice" });
});

/** A home in which the registry's certificates are. */
function homeWith(host: string, files: Readonly<Record<string, string>>): string {
  const home = mkdtempSync(`${dir}/home-`);
  mkdirSync(`${home}/.config/gantry/certs.d/${host}`, { recursive: true });
  for (const [name, text] of Object.entries(files))
    writeFileSync(`${home}/.config/gantry/certs.d/${host}/${name}`, text);
  return home;
}

/** Loopback is insecure unless it is said to be not. */
const strict = (host: string): RegistriesConfig => ({ hosts: { [host]: { insecure: false } }, insecure: [] });

test("TLS: an authority of our own and a client's certificate, by host", async () => {
  const tls = { certificate: server.certFile, key: server.keyFile, clientcas: [authority.file] };
  await using registry = await ForeignRegistry.start({ tls });
  const { host } = registry;
  const config = strict(host);
  const all = { "ca.crt": authority.pem, "me.cert": client.cert, "me.key": client.key };
  const known = new Registries({ config, environment: { HOME: homeWith(host, all) } });
  const { raw } = await push(twoLayers(), { name: "t/x:1", host, registries: known });
  await using source = await known.source(at(host, "t/x:1"));
  expect((await source.manifest()).digest).toBe(raw.digest);

  const settings = { insecure: false, ca: authority.file, cert: client.certFile, key: client.keyFile };
  const named = new Registries({ config: { hosts: { [host]: settings }, insecure: [] }, environment: {} });
  await using again = await named.source(at(host, "t/x:1"));
  expect((await again.manifest()).digest).toBe(raw.digest);

  const begun = performance.now();
  const stranger = new Registries({ config, environment: {} });
  await using unknown = await stranger.source(at(host, "t/x:1"));
  await expect(unknown.manifest()).rejects.toMatchObject({ code: "unavailable", fields: { tls: true } });
  const without = new Registries({
    config,
    environment: { HOME: homeWith(host, { "ca.crt": authority.pem }) },
  });
  await using nameless = await without.source(at(host, "t/x:1"));
  await expect(nameless.manifest()).rejects.toMatchObject({
    code: "unavailable",
    hint: expect.stringContaining(`${host}/client.cert`),
  });
  // Asking again would not help, and is not tried: that would take seconds.
  expect(performance.now() - begun).toBeLessThan(2_000);
}, 30_000);

test("an insecure registry is asked by TLS first, and without a certificate's check", async () => {
  await using registry = await ForeignRegistry.start({
    tls: { certificate: server.certFile, key: server.keyFile },
  });
  const { raw } = await push(twoLayers(), { name: "t/y:1", host: registry.host });
  const config = { hosts: {}, insecure: ["127.0.0.0/8"] };
  await using source = await new Registries({ config, environment: {} }).source(at(registry.host, "t/y:1"));
  expect((await source.manifest()).digest).toBe(raw.digest);
  const seen = await skopeo("inspect", "--tls-verify=false", "--raw", `docker://${registry.host}/t/y:1`);
  expect(sha256(Buffer.from(seen))).toBe(raw.digest);
});

test("mirrors are asked first, and passed over when they lack the image or are gone", async () => {
  await using mirror = await ForeignRegistry.start();
  const both = twoLayers();
  const { raw } = await push(both, { name: "cache/m/x:1", host: mirror.host });
  const own = await push(twoLayers(), { name: "m/own:1" });
  const config = {
    hosts: {
      [open.host]: { mirrors: ["http://127.0.0.1:9", `http://${mirror.host}/cache`], insecure: true },
      "nowhere.invalid": { mirrors: [`http://${mirror.host}/cache`] },
    },
    insecure: [],
  };
  const registries = new Registries({ config, environment: {} });
  await using mirrored = await registries.source(at(open.host, "m/x:1"));
  expect((await mirrored.manifest()).digest).toBe(raw.digest);
  const [layer] = [...both.blobs.keys()];
  const bytes = both.blobs.get(layer ?? "") ?? Buffer.alloc(0);
  const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: sha256(bytes), size: bytes.length };
  expect(await digests(mirrored, [descriptor])).toEqual([descriptor.digest]);
  await using direct = await registries.source(at(open.host, "m/own:1"));
  expect((await direct.manifest()).digest).toBe(own.raw.digest);
  await using apart = await registries.source(at("nowhere.invalid", "m/x:1"));
  expect((await apart.manifest()).digest).toBe(raw.digest);
});
