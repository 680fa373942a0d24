/** What went round comes back with the same digest: skopeo, umoci, podman, two registries and our engine, in all formats. Root. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { account, RegistryWorld } from "../lib/registry-world.ts";

setDefaultTimeout(60_000);

let world: RegistryWorld;
let debian = "";
let ours = "";

interface Wire {
  readonly mediaType: string;
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform: { readonly architecture: string };
  }[];
  readonly layers?: readonly { readonly mediaType: string }[];
}

const headers = (): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${account.user}:${account.password}`).toString("base64")}`,
});

/** An index of two images that docker-registry has. */
async function pushIndex(): Promise<void> {
  const own = await world.manifest(`${debian}/src/oci:1`);
  // The same one for another machine, as far as the index says.
  const manifests = ["arm64", "amd64"].map((architecture) => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: architecture === "amd64" ? own.digest : foreign.digest,
    size: architecture === "amd64" ? own.text.length : foreign.text.length,
    platform: { architecture, os: "linux" },
  }));
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests,
    annotations: { "org.example": "kept, to the byte" },
  });
  const answer = await fetch(`http://${debian}/v2/src/oci/manifests/multi`, {
    method: "PUT",
    headers: { ...headers(), "content-type": "application/vnd.oci.image.index.v1+json" },
    body,
  });
  if (!answer.ok) throw new Error(await answer.text());
}

let foreign: { readonly digest: string; readonly text: string };

beforeAll(async () => {
  world = await RegistryWorld.open("engine-roundtrip");
  ({ debian, ours } = world.hosts);
  world.login();
  world.engine.ok("image", "bootstrap", "-q", "busybox");
  writeFileSync(
    `${world.dir}/Dockerfile`,
    "FROM busybox\nRUN mkdir /d && head -c 300000 /dev/urandom >/d/f\nRUN echo hi >/hi\nCMD cat /hi\n",
  );
  world.gantryOk("build", "-q", "-t", "made:1", "-f", `${world.dir}/Dockerfile`, world.dir);
  world.gantryOk("save", "-o", `${world.dir}/made.tar`, "made:1");
  const archive = `docker-archive:${world.dir}/made.tar`;
  await world.skopeo(archive, `docker://${debian}/src/docker:1`, "--format", "v2s2");
  await world.skopeo(archive, `docker://${debian}/src/oci:1`, "--format", "oci");
  const zstd = ["--format", "oci", "--dest-compress", "--dest-compress-format", "zstd"];
  await world.skopeo(archive, `oci:${world.dir}/zstd:1`, ...zstd);
  await world.skopeo(`oci:${world.dir}/zstd:1`, `docker://${debian}/src/zstd:1`);
  // For another machine: only its config says so.
  await world.ok("umoci", "init", "--layout", `${world.dir}/foreign`);
  await world.ok("umoci", "new", "--image", `${world.dir}/foreign:1`);
  await world.ok("umoci", "config", "--image", `${world.dir}/foreign:1`, "--architecture", "arm64");
  await world.skopeo(`oci:${world.dir}/foreign:1`, `docker://${debian}/src/oci:arm`);
  foreign = await world.manifest(`${debian}/src/oci:arm`);
  await pushIndex();
  world.engine.ok("rmi", "made:1");
}, 120_000);

afterAll(() => world.close(), 120_000);

const formats = [
  {
    format: "Docker schema 2",
    source: "src/docker:1",
    type: "application/vnd.docker.distribution.manifest.v2+json",
  },
  { format: "OCI", source: "src/oci:1", type: "application/vnd.oci.image.manifest.v1+json" },
  { format: "zstd", source: "src/zstd:1", type: "application/vnd.oci.image.manifest.v1+json" },
];

describe.each(formats)("$format", ({ source, type, format }) => {
  test("docker-registry, our engine, other repository, our registry, docker-registry: one digest", async () => {
    const first = await world.manifest(`${debian}/${source}`);
    expect((JSON.parse(first.text) as Wire).mediaType ?? type).toBe(type);
    const name = source.replace("src", "round");
    world.gantryOk("pull", "-q", `${debian}/${source}`);
    for (const target of [`${debian}/${name}`, `${ours}/${name}`]) {
      world.gantryOk("tag", `${debian}/${source}`, target);
      expect(world.gantryOk("push", target)).toContain(`digest: ${first.digest} size: ${first.text.length}`);
      expect((await world.manifest(target)).text).toBe(first.text);
    }
    // All away, also what was kept for pushes: it comes back from our registry.
    world.gantryOk("rmi", `${debian}/${source}`, `${debian}/${name}`, `${ours}/${name}`);
    world.gantryOk("image", "prune", "-f");
    world.gantryOk("pull", "-q", `${ours}/${name}`);
    expect(world.gantryOk("image", "inspect", "-f", "{{json .RepoDigests}}", `${ours}/${name}`)).toBe(
      `["${ours}/${name.split(":")[0]}@${first.digest}"]`,
    );
    expect(world.gantryOk("run", "--rm", `${ours}/${name}`)).toBe("hi");
    await world.skopeo(`docker://${ours}/${name}`, `docker://${debian}/again/${format.length}:1`);
    expect((await world.manifest(`${debian}/again/${format.length}:1`)).digest).toBe(first.digest);
    world.gantryOk("rmi", `${ours}/${name}`);
  });

  test("podman pulls from our registry what our engine pushed", async () => {
    const name = `${ours}/${source.replace("src", "round")}`;
    // podman allows a runroot of 50 characters.
    const short = mkdtempSync("/tmp/gantry-pm-");
    const at = ["--root", `${short}/root`, "--runroot", `${short}/run`, "--storage-driver", "vfs"];
    const auth = `${world.dir}/docker/config.json`;
    const podman = (...words: readonly string[]): Promise<string> => world.ok("podman", ...at, ...words);
    await podman("pull", "-q", "--tls-verify=false", "--authfile", auth, name);
    const { digest } = await world.manifest(name);
    expect(await podman("image", "inspect", "-f", "{{.Digest}}", name)).toBe(digest);
    await podman("rmi", "-f", name);
    rmSync(short, { recursive: true, force: true });
  });
});

test("an index for two platforms: this machine's image is pulled; copied whole it keeps its digest", async () => {
  const index = await world.manifest(`${debian}/src/oci:multi`);
  world.gantryOk("pull", "-q", `${debian}/src/oci:multi`);
  const shown = [
    "image",
    "inspect",
    "-f",
    "{{.Architecture}} {{json .RepoDigests}}",
    `${debian}/src/oci:multi`,
  ];
  expect(world.gantryOk(...shown)).toBe(`amd64 ["${debian}/src/oci@${index.digest}"]`);
  const arm = ["pull", "-q", "--platform", "linux/arm64", `${debian}/src/oci:multi`];
  world.gantryOk(...arm);
  expect(world.gantryOk(...shown)).toStartWith("arm64 ");
  world.gantryOk("rmi", `${debian}/src/oci:multi`);
  const copied = [
    "image",
    "copy",
    "--all",
    "-q",
    `docker://${debian}/src/oci:multi`,
    `docker://${ours}/multi:1`,
  ];
  expect(world.gantryOk(...copied)).toBe(index.digest);
  expect((await world.manifest(`${ours}/multi:1`)).text).toBe(index.text);
  world.gantryOk("pull", "-q", `${ours}/multi@${index.digest}`);
  expect(world.gantryOk("run", "--rm", `${ours}/multi@${index.digest}`)).toBe("hi");
  // A push sends what is here, as docker's does: the one platform's image, which keeps its digest.
  const wire = JSON.parse(index.text) as Wire;
  const amd64 = wire.manifests?.find(({ platform }) => platform.architecture === "amd64");
  world.gantryOk("tag", `${ours}/multi@${index.digest}`, `${ours}/one:1`);
  expect(world.gantryOk("push", `${ours}/one:1`)).toContain(`digest: ${amd64?.digest} `);
  world.gantryOk("rmi", `${ours}/one:1`, `${ours}/multi@${index.digest}`);
});

test("push --compression zstd: smaller layers of that type, which skopeo reads", async () => {
  writeFileSync(`${world.dir}/Dockerfile`, "FROM scratch\nCOPY made.tar /made.tar\n");
  world.gantryOk("build", "-q", "-t", `${ours}/zstd:1`, "-f", `${world.dir}/Dockerfile`, world.dir);
  world.gantryOk("push", "--compression", "zstd", "--compression-level", "9", `${ours}/zstd:1`);
  const { text } = await world.manifest(`${ours}/zstd:1`);
  expect((JSON.parse(text) as Wire).layers?.map(({ mediaType }) => mediaType)).toEqual([
    "application/vnd.oci.image.layer.v1.tar+zstd",
  ]);
  await world.skopeo(`docker://${ours}/zstd:1`, `oci:${world.dir}/from-zstd:1`);
  const bad = world.gantry(["push", "--compression", "lzma", `${ours}/zstd:1`]);
  expect([bad.code, bad.err]).toEqual([1, expect.stringContaining('invalid compression "lzma"')]);
  world.gantryOk("rmi", `${ours}/zstd:1`);
});

test("a layout made by umoci, copied to a registry by our client, pulled and run", async () => {
  const rootfs = `${world.dir}/bundle`;
  const layout = `${world.dir}/umoci`;
  await world.skopeo(`docker://${debian}/src/oci:1`, `oci:${layout}:1`);
  await world.ok("umoci", "unpack", "--image", `${layout}:1`, rootfs);
  mkdirSync(`${rootfs}/rootfs/new`);
  writeFileSync(`${rootfs}/rootfs/new/file`, "by umoci\n");
  await world.ok("umoci", "repack", "--image", `${layout}:2`, rootfs);
  const index = JSON.parse(readFileSync(`${layout}/index.json`, "utf8")) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
  const made = index.manifests.find(
    ({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === "2",
  );
  const digest = world.gantryOk("image", "copy", "-q", `oci:${layout}:2`, `docker://${ours}/umoci:2`);
  expect(digest).toBe(made?.digest ?? "");
  expect(world.gantryOk("run", "--rm", "-q", `${ours}/umoci:2`, "cat", "/new/file")).toBe("by umoci");
  expect(world.gantryOk("image", "inspect", "-f", "{{index .RepoDigests 0}}", `${ours}/umoci:2`)).toBe(
    `${ours}/umoci@${digest}`,
  );
  const back = `${world.dir}/back`;
  expect(world.gantryOk("image", "copy", "-q", `docker://${ours}/umoci:2`, `oci:${back}:2`)).toBe(digest);
  const hex = digest.slice("sha256:".length);
  const bytes = readFileSync(`${back}/blobs/sha256/${hex}`);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(hex);
  await world.ok("umoci", "unpack", "--image", `${back}:2`, `${world.dir}/bundle2`);
  expect(readFileSync(`${world.dir}/bundle2/rootfs/new/file`, "utf8")).toBe("by umoci\n");
  world.gantryOk("rmi", `${ours}/umoci:2`);
});

test("nothing stays on the engine", () => {
  expect(world.gantryOk("images", "-q", "--filter", "reference=*/*")).toBe("");
});
