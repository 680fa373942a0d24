import { describe, expect, test } from "bun:test";
import { tarHeader, type TarEntryInput, tarPadding, tarTrailer, TarReader } from "../lib/index.ts";
import { parseAciManifest } from "./aci-manifest.ts";
import { aciRootfs, findAciManifest } from "./aci-rootfs.ts";

const least = { acKind: "ImageManifest", acVersion: "0.8.11", name: "example.com/worker" };
const app = { exec: ["/bin/worker", "--quiet"], user: "100", group: "users" };
const parse = (document: object): ReturnType<typeof parseAciManifest> =>
  parseAciManifest(Buffer.from(JSON.stringify({ ...least, ...document })), "amd64");

describe("the manifest of an App Container image", () => {
  test("all that OCI has a word for", () => {
    const read = parse({
      labels: [
        { name: "version", value: "1.0.0" },
        { name: "arch", value: "armv7l" },
        { name: "os", value: "linux" },
        { name: "channel", value: "beta" },
      ],
      app: {
        ...app,
        workingDirectory: "/opt/work",
        environment: [
          { name: "A", value: "b=c" },
          { name: "EMPTY", value: "" },
        ],
        mountPoints: [{ name: "work", path: "/var/lib/work" }],
        ports: [
          { name: "dns", port: 53, protocol: "udp" },
          { name: "web", port: 8080, count: 2, protocol: "tcp" },
        ],
      },
      annotations: [
        { name: "authors", value: "Carly <carly@example.com>" },
        { name: "created", value: "2014-10-27T19:32:27.67021798Z" },
        { name: "homepage", value: "https://example.com" },
        { name: "example.com/note", value: "x" },
      ],
      pathWhitelist: ["/bin/worker"],
    });
    expect(read).toMatchObject({
      name: "example.com/worker",
      version: "1.0.0",
      architecture: "arm",
      variant: "v7",
      author: "Carly <carly@example.com>",
      created: "2014-10-27T19:32:27.670Z",
      pathWhitelist: ["/bin/worker"],
      warnings: [],
    });
    expect(read.config).toMatchObject({
      User: "100:users",
      Entrypoint: ["/bin/worker", "--quiet"],
      WorkingDir: "/opt/work",
      Env: ["A=b=c", "EMPTY="],
      Volumes: { "/var/lib/work": {} },
      ExposedPorts: { "53/udp": {}, "8080/tcp": {}, "8081/tcp": {} },
    });
    expect(read.config.Labels).toMatchObject({
      "appc.io/name": "example.com/worker",
      "appc.io/label/channel": "beta",
      "appc.io/annotation/example.com/note": "x",
      "org.opencontainers.image.version": "1.0.0",
      "org.opencontainers.image.authors": "Carly <carly@example.com>",
      "org.opencontainers.image.url": "https://example.com",
    });
  });

  test("an image without app, labels or anything", () => {
    expect(parse({})).toMatchObject({ architecture: "amd64", version: undefined, warnings: [] });
  });

  test("what an image cannot say is told, and kept as it stands", () => {
    const { warnings, config } = parse({
      app: {
        ...app,
        isolators: [{ name: "resource/memory", value: { limit: "1G" } }, { name: "example.com/x" }],
        eventHandlers: [{ name: "pre-start", exec: ["/bin/prepare"] }],
        supplementaryGIDs: [7],
        mountPoints: [{ name: "d", path: "/d", readOnly: true }],
        ports: [{ name: "p", port: 80, protocol: "tcp", socketActivated: true }],
      },
    });
    expect(warnings).toEqual([
      "the mount point /d should be read-only: run it with -v SOURCE:/d:ro",
      "port 80 is not opened for the app (socketActivated): it must listen itself",
      'the isolator "resource/memory" is no part of an image: run it with --memory',
      'the isolator "example.com/x" is no part of an image',
      'the event handler "pre-start" is not run',
      "the app's further groups are no part of an image: run it with --group-add",
    ]);
    expect(config.Labels?.["appc.io/app/eventHandlers"]).toContain("/bin/prepare");
  });

  const refused: readonly [object, string][] = [
    [{ acKind: "PodManifest" }, "its acKind is"],
    [{ acVersion: "x" }, "it has no acVersion"],
    [{ name: "Example" }, "which is no AC identifier"],
    [{ name: "../etc" }, "which is no AC identifier"],
    [{ dependencies: [{ imageName: "example.com/base" }] }, "it depends on other images (example.com/base)"],
    [{ labels: [{ name: "os", value: "freebsd" }] }, 'it is for "freebsd"'],
    [{ labels: [{ name: "arch", value: "pdp11" }] }, 'unknown architecture "pdp11"'],
    [{ labels: [{ name: "arch", value: "constructor" }] }, "unknown architecture"],
    [{ labels: [{ name: "a" }, { name: "a" }] }, 'labels has "a" twice'],
    [{ app: { ...app, user: undefined } }, "its app has no user"],
    [{ app: { ...app, user: "/bin/worker" } }, "its app's user is that of the file"],
    [{ app: { ...app, user: "a:b" } }, "the user of its app is"],
    [{ app: { ...app, workingDirectory: "x" } }, "no absolute path"],
    [{ app: { ...app, environment: [{ name: "A=B", value: "" }] } }, "environment variable"],
    [{ app: { ...app, ports: [{ port: 65_535, count: 2, protocol: "tcp" }] } }, "a port of its app is 65535"],
    [{ app: { ...app, ports: [{ port: 1, count: 65_000, protocol: "tcp" }] } }, "more than 1000 ports"],
    [{ app: { ...app, ports: [{ port: 1, protocol: "icmp" }] } }, "the protocol of its port 1"],
    [{ app: { ...app, mountPoints: [{ path: "/a/../b" }] } }, "no absolute path"],
    [{ pathWhitelist: ["etc"] }, "no absolute path"],
  ];
  test.each(refused.map(([document, message]) => ({ document, message })))("refused: $message", (one) =>
    expect(() => parse(one.document)).toThrow(one.message),
  );
});

type Member = TarEntryInput & { readonly content?: string };

function tar(...members: readonly Member[]): Buffer {
  const parts = members.flatMap(({ content = "", ...entry }) => {
    const bytes = Buffer.from(content);
    return [tarHeader({ ...entry, size: bytes.length }), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, tarTrailer]);
}

async function* pieces(bytes: Uint8Array, size = 700): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function rootfs(archive: Buffer, whitelist: readonly string[] = []): Promise<string[]> {
  const reader = new TarReader();
  const found: string[] = [];
  let content = "";
  for await (const chunk of aciRootfs(pieces(archive), whitelist)) {
    for (const event of reader.push(chunk)) {
      if (event.kind === "entry") content = "";
      else if (event.kind === "data") content += Buffer.from(event.bytes).toString();
      else
        found.push(
          `${event.entry.path}${event.entry.linkPath && `>${event.entry.linkPath}`}${content && `=${content}`}`,
        );
    }
  }
  reader.finish();
  return found;
}

describe("the archive of an App Container image", () => {
  const good = tar(
    { path: "rootfs", type: "dir" },
    { path: "./rootfs/bin", type: "dir" },
    { path: "rootfs/bin/a", type: "file", content: "x".repeat(600) },
    { path: "rootfs/b", type: "hardlink", linkPath: "rootfs/bin/a" },
    { path: "rootfs/l", type: "symlink", linkPath: "/bin/a" },
    { path: "manifest", type: "file", content: "{}" },
  );

  test("the root file system alone, and what the whitelist keeps of it", async () => {
    const a = `bin/a=${"x".repeat(600)}`;
    expect(await rootfs(good)).toEqual(["./", "bin/", a, "b>bin/a", "l>/bin/a"]);
    expect(await rootfs(good, ["/bin/a", "//l/"])).toEqual(["./", "bin/", a, "l>/bin/a"]);
    expect(Buffer.from(await findAciManifest(pieces(good))).toString()).toBe("{}");
  });

  test("is refused with something beside, links out, without manifest or root file system", async () => {
    const manifest = { path: "manifest", type: "file" } as const;
    const of = (...more: readonly Member[]): Promise<string[]> => rootfs(tar(manifest, ...more));
    await expect(of({ path: "etc/passwd", type: "file" })).rejects.toThrow('"etc/passwd" beside manifest');
    await expect(of({ path: "rootfs/../x", type: "file" })).rejects.toThrow("leads outside");
    await expect(of({ path: "rootfs/h", type: "hardlink", linkPath: "manifest" })).rejects.toThrow(
      "not in the rootfs",
    );
    await expect(of()).rejects.toThrow("no directory rootfs");
    await expect(findAciManifest(pieces(tar({ path: "rootfs", type: "dir" })))).rejects.toThrow(
      "no file manifest",
    );
    await expect(findAciManifest(pieces(tar({ path: "manifest", type: "dir" })))).rejects.toThrow(
      "is no file",
    );
  });
});
