/** Uploads to the registry that go wrong: cut connections, restarts, two at once, a full disk. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { TestRegistry } from "../lib/registry.ts";

const dir = mkdtempSync("/tmp/gantry-registry-uploads-");
let registry: TestRegistry;

beforeAll(async () => {
  registry = await TestRegistry.start(`${dir}/root`);
});
afterAll(async () => {
  await registry.stop();
  rmSync(dir, { recursive: true });
});

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function begin(of: TestRegistry, repository = "team/app"): Promise<string> {
  const response = await fetch(`${of.url}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(response.status).toBe(202);
  return new URL(response.headers.get("location") ?? "", of.url).href;
}

const patch = (location: string, bytes: Uint8Array, range?: string): Promise<Response> =>
  fetch(location, {
    method: "PATCH",
    body: bytes,
    headers: range === undefined ? {} : { "Content-Range": range },
  });

const put = (location: string, digest: string, bytes?: Uint8Array): Promise<Response> =>
  fetch(`${location}?digest=${digest}`, { method: "PUT", body: bytes ?? null });

const rangeOf = async (location: string): Promise<string | null> => {
  const response = await fetch(location);
  expect(response.status).toBe(204);
  return response.headers.get("range");
};

async function bytesOf(of: TestRegistry, digest: string, repository = "team/app"): Promise<Buffer> {
  const response = await fetch(`${of.url}/v2/${repository}/blobs/${digest}`);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

/** Sends a request's head and some of its body, then cuts the connection. */
async function cut(location: string, method: string, head: string, body: Uint8Array): Promise<void> {
  const { hostname, port, pathname, search } = new URL(location);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.write(`${method} ${pathname}${search} HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`);
  await new Promise((resolve) => socket.write(body, resolve));
  await Bun.sleep(150);
  socket.destroy();
}

async function code(response: Response): Promise<string> {
  const body: { readonly errors: readonly { readonly code: string }[] } = JSON.parse(await response.text());
  return `${response.status} ${body.errors[0]?.code}`;
}

describe("an upload", () => {
  test.each([
    ["an announced length", "Content-Length: 5000000", ""],
    ["chunks", "Transfer-Encoding: chunked", "4c4b40\r\n"],
  ])("whose client is gone (%s) is kept and goes on", async (_, head, size) => {
    const bytes = randomBytes(3_000_000);
    const location = await begin(registry);
    await cut(location, "PATCH", head, Buffer.concat([Buffer.from(size), bytes.subarray(0, 1_000_000)]));
    const kept = Number((await rangeOf(location))?.slice(2)) + 1;
    expect(kept).toBeLessThanOrEqual(1_000_000);
    expect((await patch(location, bytes.subarray(kept), `${kept}-${bytes.length - 1}`)).status).toBe(202);
    expect((await put(location, digestOf(bytes))).status).toBe(201);
    expect((await bytesOf(registry, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test("whose last request is cut makes no blob", async () => {
    const bytes = randomBytes(500_000);
    const location = await begin(registry);
    const digest = digestOf(bytes.subarray(0, 250_000));
    await cut(`${location}?digest=${digest}`, "PUT", "Content-Length: 500000", bytes.subarray(0, 250_000));
    const url = `${registry.url}/v2/team/app/blobs/${digest}`;
    expect((await fetch(url, { method: "HEAD" })).status).toBe(404);
    await cut(
      `${registry.url}/v2/team/app/blobs/uploads/?digest=${digest}`,
      "POST",
      "Content-Length: 500000",
      bytes.subarray(0, 250_000),
    );
    expect((await fetch(url, { method: "HEAD" })).status).toBe(404);
  });

  test("goes on after the registry was killed", async () => {
    const bytes = randomBytes(2_500_000);
    const location = await begin(registry);
    expect((await patch(location, bytes.subarray(0, 1_500_000))).status).toBe(202);
    await registry.kill();
    await registry.up();
    expect(await rangeOf(location)).toBe("0-1499999");
    expect((await patch(location, bytes.subarray(1_500_000))).status).toBe(202);
    expect((await put(location, digestOf(bytes))).status).toBe(201);
    expect((await bytesOf(registry, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test("takes no chunk out of order, and no two at once", async () => {
    const bytes = randomBytes(4_000_000);
    const location = await begin(registry);
    const early = await patch(location, bytes.subarray(100, 200), "100-199");
    expect(await code(early)).toBe("416 RANGE_INVALID");
    const half = bytes.subarray(0, 2_000_000);
    const both = await Promise.all([patch(location, half, "0-1999999"), patch(location, half, "0-1999999")]);
    expect(both.map(({ status }) => status).toSorted()[0]).toBe(202);
    expect([409, 416]).toContain(Math.max(...both.map(({ status }) => status)));
    expect(await rangeOf(location)).toBe("0-1999999");
    const again = await patch(location, half, "0-1999999");
    expect(again.status).toBe(416);
    expect(again.headers.get("range")).toBe("0-1999999");
    const last = await fetch(`${location}?digest=${digestOf(bytes)}`, {
      method: "PUT",
      body: bytes.subarray(2_000_000),
      headers: { "Content-Range": "2000000-3999999" },
    });
    expect(last.status).toBe(201);
  });

  test("with another digest leaves nothing", async () => {
    const location = await begin(registry);
    const response = await put(location, digestOf(randomBytes(9)), randomBytes(100_000));
    expect(await code(response)).toBe("400 DIGEST_INVALID");
    expect((await fetch(location)).status).toBe(404);
  });

  test("belongs to its repository", async () => {
    const location = await begin(registry);
    const elsewhere = location.replace("team/app", "team/other");
    expect(await code(await patch(elsewhere, randomBytes(9)))).toBe("404 BLOB_UPLOAD_UNKNOWN");
    expect((await fetch(location, { method: "DELETE" })).status).toBe(204);
    expect((await fetch(location)).status).toBe(404);
  });
});

test("the same blob from many clients at once", async () => {
  const bytes = randomBytes(1_000_000);
  const digest = digestOf(bytes);
  const answers = await Promise.all(
    Array.from({ length: 12 }, async () => put(await begin(registry), digest, bytes)),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
  expect((await bytesOf(registry, digest)).equals(bytes)).toBe(true);
});

test.each([
  ["/v2/team/app/blobs/uploads/..%2f..%2fregistry.db", 404],
  ["/v2/..%2f..%2fetc/manifests/latest", 400],
  ["/v2/team/app/blobs/sha256:..%2f..%2f..%2fregistry.db", 404],
  ["/v2/team/app/manifests/..%2fx", 404],
  ["/v2/TEAM/app/tags/list", 400],
  [`/v2/${"a".repeat(300)}/tags/list`, 400],
  ["/v2/%ff/tags/list", 400],
])("%s is refused", async (path, status) => {
  expect((await fetch(registry.url + path)).status).toBe(status);
});

test("a manifest that is too big is refused before it has come, and kept from memory when it says no length", async () => {
  const url = `${registry.url}/v2/team/app/manifests/big`;
  const big = new Uint8Array((4 << 20) + 1);
  const headers = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
  expect((await fetch(url, { method: "PUT", headers, body: big })).status).toBe(413);
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(big.subarray(0, 1 << 20));
    },
  });
  const endless = await fetch(url, { method: "PUT", headers, body }).then(
    ({ status }) => status,
    // The connection was closed while we still sent.
    () => 413,
  );
  expect(endless).toBe(413);
});

describe("on a full disk", () => {
  const mount = `${dir}/small`;
  let small: TestRegistry;
  beforeAll(async () => {
    mkdirSync(mount);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=24m", "gantry-test", mount]).exitCode).toBe(0);
    small = await TestRegistry.start(mount);
  });
  afterAll(async () => {
    await small.kill();
    Bun.spawnSync(["umount", mount]);
  });

  const freeDisk = (): void => {
    if (existsSync(`${mount}/filler`)) rmSync(`${mount}/filler`);
  };
  const fillDisk = (leave: number): void => {
    freeDisk();
    const { stdout } = Bun.spawnSync(["df", "--output=avail", "-B1", mount]);
    const available = Number(stdout.toString().split("\n")[1]);
    Bun.spawnSync(["fallocate", "-l", String(available - leave), `${mount}/filler`]);
  };

  test("a blob is refused with 507, and can be sent again when there is room", async () => {
    const bytes = randomBytes(6_000_000);
    fillDisk(2_000_000);
    const location = await begin(small);
    const refused = await put(location, digestOf(bytes), bytes);
    expect(await code(refused)).toBe("507 UNKNOWN");
    freeDisk();
    expect((await fetch(location, { method: "DELETE" })).status).toBe(204);
    const again = await begin(small);
    expect((await put(again, digestOf(bytes), bytes)).status).toBe(201);
    expect((await bytesOf(small, digestOf(bytes))).equals(bytes)).toBe(true);
  });

  test("every push is whole or refused, whatever room there is", async () => {
    const acknowledged: string[] = [];
    for (const leave of [0, 4096, 8192, 16384, 32768, 65536, 131072, 1 << 20]) {
      fillDisk(leave);
      const bytes = randomBytes(20_000);
      const digest = digestOf(bytes);
      const url = `${small.url}/v2/team/app`;
      const blob = await fetch(`${url}/blobs/uploads/?digest=${digest}`, { method: "POST", body: bytes });
      expect([201, 507]).toContain(blob.status);
      const descriptor = {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest,
        size: bytes.length,
      };
      const manifest = JSON.stringify({ schemaVersion: 2, config: descriptor, layers: [] });
      const response = await fetch(`${url}/manifests/t${leave}`, { method: "PUT", body: manifest });
      expect([201, 404, 507]).toContain(response.status);
      if (response.status === 201) acknowledged.push(`t${leave}`);
    }
    freeDisk();
    await small.kill();
    await small.up();
    expect(acknowledged.length).toBeGreaterThan(0);
    for (const tag of acknowledged) {
      const manifest: { readonly config: { readonly digest: string } } = JSON.parse(
        await (await fetch(`${small.url}/v2/team/app/manifests/${tag}`)).text(),
      );
      const { digest } = manifest.config;
      expect(digestOf(await bytesOf(small, digest))).toBe(digest);
    }
    expect(readdirSync(`${mount}/uploads`)).toEqual([]);
  }, 30_000);
});
