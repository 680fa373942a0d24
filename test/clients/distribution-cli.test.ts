/** The commands that speak to registries, before our own registry with accounts: login, copy, tags, referrers, inspect, delete, logout. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { copyImage, Registries } from "../../src/distribution/index.ts";
import { createLayout, mediaTypes, parseReference } from "../../src/image/index.ts";
import { parseDigest, sha256 } from "../../src/lib/index.ts";
import { binary, TestEngine } from "../lib/engine.ts";
import { registryCommand } from "../lib/registry-command.ts";
import { TestRegistry } from "../lib/registry.ts";
import { MemorySource } from "../system/image-source.ts";

const dir = mkdtempSync("/tmp/gantry-distribution-cli-");
const root = `${dir}/root`;
const source = new MemorySource();
const auth = { username: "alice", password: "alice's password" };
const program =
  process.env["GANTRY_SOURCE"] === "1"
    ? [process.execPath, new URL("../../src/main.ts", import.meta.url).pathname]
    : [binary];
/** `login` asks an engine; without these places it would start the machine's own. */
const engine = new TestEngine("distribution-cli");
const engineProgram = [...program, "--no-autostart", ...engine.places];
let registry: TestRegistry;
let host: string;

interface Done {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(words: readonly string[], input = ""): Promise<Done> {
  const child = Bun.spawn([...words], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", HOME: dir, DOCKER_CONFIG: `${dir}/config` },
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

const gantry = (...words: readonly string[]): Promise<Done> => run([...program, ...words]);

async function ok(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await gantry(...words);
  if (code !== 0) throw new Error(`gantry ${words.join(" ")}: ${out}${err}`);
  return out;
}

const kept = (): string => readFileSync(`${dir}/config/config.json`, "utf8");

beforeAll(async () => {
  mkdirSync(root);
  await engine.start();
  await registryCommand(root, ["user", "add", "--password-stdin", "alice"], "alice's password\n");
  await registryCommand(root, ["grant", "alice", "team/**", "pull,push,delete"]);
  await registryCommand(root, ["public", "add", "open/*"]);
  registry = await TestRegistry.start(root);
  host = `127.0.0.1:${registry.port}`;
  source.image({ tars: [tar("one"), tar("two")] });
  await using target = await createLayout(`${dir}/layout`);
  await copyImage({ source, target, tag: "1" });
}, 30_000);

afterAll(async () => {
  await registry.stop();
  await engine.uninstall();
  rmSync(dir, { recursive: true, force: true });
});

/** A layer that umoci can unpack: one file. */
function tar(name: string): Buffer {
  mkdirSync(`${dir}/tree-${name}`, { recursive: true });
  writeFileSync(`${dir}/tree-${name}/${name}`, randomBytes(50_000).toString("hex"));
  return Buffer.from(Bun.spawnSync(["tar", "-C", `${dir}/tree-${name}`, "-c", name]).stdout);
}

test("login: a wrong password, the right one; what is kept is a refresh token", async () => {
  const wrong = await run([...engineProgram, "login", "-u", "alice", "--password-stdin", host], "wrong\n");
  expect([wrong.code === 0, wrong.err]).toEqual([false, expect.stringContaining("unauthorized")]);
  const right = await run(
    [...engineProgram, "login", "-u", "alice", "--password-stdin", host],
    "alice's password\n",
  );
  expect([right.code, right.out + right.err]).toEqual([0, expect.stringContaining("Login Succeeded")]);
  expect(kept()).toContain("gantry_refresh_");
  expect(kept()).not.toContain(Buffer.from("alice:alice's").toString("base64"));
});

test("a layout goes to the registry and comes back, bit for bit; umoci and skopeo take it", async () => {
  const digest = (
    await ok("image", "copy", "-q", `oci:${dir}/layout:1`, `docker://${host}/team/app:1`)
  ).trim();
  expect(digest).toBe(source.main ?? "");
  expect((await ok("image", "copy", "-q", `docker://${host}/team/app:1`, `oci:${dir}/back:v`)).trim()).toBe(
    digest,
  );
  const unpacked = await run(["umoci", "unpack", "--rootless", "--image", `${dir}/back:v`, `${dir}/bundle`]);
  expect([unpacked.code, unpacked.err]).toEqual([0, expect.any(String)]);
  expect(readFileSync(`${dir}/bundle/rootfs/two`, "utf8")).toBe(readFileSync(`${dir}/tree-two/two`, "utf8"));
  const raw = await run(["skopeo", "inspect", "--raw", `oci:${dir}/back:v`]);
  expect(sha256(Buffer.from(raw.out))).toBe(parseDigest(digest));

  await ok("image", "copy", "-q", `docker://${host}/team/app:1`, `oci-archive:${dir}/a.tar:v`);
  const archived = await run(["skopeo", "inspect", "--raw", `oci-archive:${dir}/a.tar:v`]);
  expect(sha256(Buffer.from(archived.out))).toBe(parseDigest(digest));
  await ok("image", "copy", "-q", `docker://${host}/team/app:1`, `docker-archive:${dir}/d.tar:x:1`);
  const layers = await run([
    "skopeo",
    "inspect",
    "--format",
    "{{len .Layers}}",
    `docker-archive:${dir}/d.tar`,
  ]);
  expect(layers.out.trim()).toBe("2");
});

test("tags over many pages, inspection without a pull, manifests", async () => {
  const digest = source.main ?? "";
  await using target = await new Registries({ environment: {} }).target(
    parseReference(`${host}/team/many`),
    auth,
  );
  const raw = await source.manifest();
  await copyImage({ source, target });
  const tags = Array.from({ length: 1_050 }, (_, i) => `v${String(i).padStart(4, "0")}`);
  for (let at = 0; at < tags.length; at += 50)
    await Promise.all(tags.slice(at, at + 50).map((tag) => target.putManifest(raw, tag)));
  // One page holds a thousand.
  expect((await ok("image", "tags", `${host}/team/many`)).trim().split("\n")).toEqual(tags);

  const inspected = JSON.parse(
    await ok("image", "inspect", "--remote", `${host}/team/many:v0007`),
  ) as unknown;
  expect(JSON.stringify(inspected)).toContain(digest);
  expect(
    sha256(Buffer.from(await ok("image", "inspect", "--remote", "--raw", `${host}/team/many:v0007`))),
  ).toBe(parseDigest(digest));
  expect(await ok("manifest", "inspect", `${host}/team/many:v0007`)).toContain(mediaTypes.ociManifest);
  const none = await gantry("manifest", "inspect", `${host}/team/many:none`);
  expect([none.code, none.err]).toEqual([1, expect.stringContaining("no such manifest")]);
}, 30_000);

test("referrers by the registry's own list, filtered, and copied along", async () => {
  const raw = await source.manifest();
  const subject = { mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length };
  const signer = new MemorySource();
  const config = signer.add(Buffer.from("{}"), mediaTypes.ociEmpty);
  const registries = new Registries({ environment: {} });
  await using target = await registries.target(parseReference(`${host}/team/app`), auth);
  const made = ["application/x-signature", "application/x-sbom"].map((artifactType) =>
    signer.put({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType,
      config,
      layers: [config],
      subject,
    }),
  );
  for (const { digest } of made) {
    signer.main = digest;
    await copyImage({ source: signer, target });
  }
  const list = async (...words: readonly string[]): Promise<readonly string[]> =>
    (await ok("image", "referrers", "-q", ...words, `${host}/team/app:1`)).trim().split("\n").sort();
  expect<readonly string[]>(await list()).toEqual(made.map(({ digest }) => digest).sort());
  expect<readonly string[]>(await list("--artifact-type", "application/x-sbom")).toEqual([
    made[1]?.digest ?? "",
  ]);
  // Nothing was put under the tag of the tag schema: the registry keeps the list.
  expect((await ok("image", "tags", `${host}/team/app`)).trim()).toBe("1");

  await ok(
    "image",
    "copy",
    "-q",
    "--referrers",
    `docker://${host}/team/app:1`,
    `docker://${host}/team/copy:1`,
  );
  const copied = (await ok("image", "referrers", "-q", `${host}/team/copy:1`)).trim().split("\n").sort();
  expect<readonly string[]>(copied).toEqual(made.map(({ digest }) => digest).sort());
});

test("sha512: blobs and manifests, pushed, pulled and copied", async () => {
  const hash = (bytes: Uint8Array) =>
    parseDigest(`sha512:${createHash("sha512").update(bytes).digest("hex")}`);
  const long = new MemorySource();
  const bytes = [
    Buffer.from(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`),
    randomBytes(3_000_000),
  ];
  const [config, layer] = bytes.map((blob, i) => {
    const digest = hash(blob);
    long.blobs.set(digest, blob);
    return { mediaType: i === 0 ? mediaTypes.ociConfig : mediaTypes.ociLayer, digest, size: blob.length };
  });
  const mediaType = mediaTypes.ociManifest;
  const document = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] }));
  const raw = { digest: hash(document), mediaType, bytes: document };
  long.manifests.set(raw.digest, raw);
  long.main = raw.digest;
  await using target = await new Registries({ environment: {} }).target(
    parseReference(`${host}/team/long`),
    auth,
  );
  await copyImage({ source: long, target });
  const copied = (
    await ok("image", "copy", "-q", `docker://${host}/team/long@${raw.digest}`, `oci:${dir}/long:1`)
  ).trim();
  expect(copied).toBe(raw.digest);
  expect(
    readFileSync(`${dir}/long/blobs/sha512/${layer?.digest.slice(7)}`).equals(bytes[1] ?? Buffer.alloc(0)),
  ).toBe(true);
});

test("a mirror that is down, lacks the image, or answers garbage is passed over", async () => {
  const digest = source.main ?? "";
  await using garbage = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("<html>moved</html>"),
  });
  await using lacking = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("", { status: 404 }),
  });
  const mirrors = [
    "http://127.0.0.1:9",
    `http://127.0.0.1:${lacking.port}/hub`,
    `http://127.0.0.1:${garbage.port}`,
  ];
  const registries = new Registries({
    config: { hosts: { [host]: { mirrors } }, insecure: [] },
    environment: {},
  });
  await using pulled = await registries.source(parseReference(`${host}/team/app:1`), auth);
  expect<string>((await pulled.manifest()).digest).toBe(digest);
  await using target = await createLayout(`${dir}/mirrored`);
  expect<string>((await copyImage({ source: pulled, target, tag: "1" })).digest).toBe(digest);
});

test("delete: the tag alone, then the image; what may not be done; logout", async () => {
  await ok("image", "copy", "-q", `docker://${host}/team/app:1`, `docker://${host}/team/gone:a`);
  await ok("image", "copy", "-q", `docker://${host}/team/app:1`, `docker://${host}/team/gone:b`);
  await ok("image", "delete", "--tag", `${host}/team/gone:a`);
  expect((await ok("image", "tags", `${host}/team/gone`)).trim()).toBe("b");
  await ok("image", "delete", `${host}/team/gone:b`);
  expect((await gantry("manifest", "inspect", `${host}/team/gone:b`)).err).toContain("no such manifest");

  const denied = await gantry("image", "copy", "-q", `oci:${dir}/layout:1`, `docker://${host}/other/app:1`);
  expect([denied.code, denied.err]).toEqual([1, expect.stringMatching(/unauthorized|denied/)]);
  await ok("logout", host);
  expect(kept()).not.toContain("gantry_refresh_");
  const closed = await gantry("image", "tags", `${host}/team/app`);
  expect([closed.code, closed.err]).toEqual([1, expect.stringMatching(/unauthorized|denied/)]);
  const given = await ok("image", "tags", "--creds", "alice:alice's password", `${host}/team/app`);
  expect(given.trim()).toBe("1");
});
