/** Pulls and pushes that are broken off: the engine killed, the client interrupted, the registry stalled, the disk full. Root. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, rmdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestDockerRegistry } from "../lib/docker-registry.ts";
import { type Result, TestEngine } from "../lib/engine.ts";
import { SlowProxy } from "../lib/slow-proxy.ts";

setDefaultTimeout(60_000);

/** A data directory on a file system of 96 MB. */
const disk = mkdtempSync("/tmp/gantry-transfers-disk-");
const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=96m", "gantry-test-transfers", disk]);
const engine = new TestEngine("transfers", join(disk, "lib"));
let registry: TestDockerRegistry;
let proxy: SlowProxy;
let image = "";
let digest = "";

beforeAll(async () => {
  expect(mounted.exitCode).toBe(0);
  registry = await TestDockerRegistry.start();
  proxy = await SlowProxy.before(registry.port);
  image = `127.0.0.1:${proxy.port}/app`;
  await engine.start();
  await ok("image", "bootstrap", "-q", "busybox");
  writeFileSync(
    join(engine.dir, "Dockerfile"),
    'FROM busybox\nRUN head -c 8000000 /dev/urandom >/a\nRUN head -c 6000000 /dev/urandom >/b\nCMD ["echo", "whole"]\n',
  );
  await ok("build", "-q", "-t", `${image}:1`, "-f", join(engine.dir, "Dockerfile"), engine.dir);
  digest = /digest: (sha256:[0-9a-f]{64})/.exec(await ok("push", `${image}:1`))?.[1] ?? "";
}, 120_000);

afterAll(async () => {
  proxy.close();
  await engine.uninstall();
  await registry[Symbol.asyncDispose]();
  Bun.spawnSync(["umount", disk]);
  rmdirSync(disk);
}, 120_000);

beforeEach(() => {
  proxy.hurry();
  proxy.up = 0;
  proxy.down = 0;
});

/** Not TestEngine's, which would stop the proxy in this process. */
async function run(...words: readonly string[]): Promise<Result> {
  const child = engine.spawn(...words);
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

async function ok(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await run(...words);
  if (code !== 0) throw new Error(`gantry ${words.join(" ")} exited with ${code}: ${err}${out}`);
  return out.trim();
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 15_000; !holds(); await Bun.sleep(10))
    if (Date.now() > deadline) throw new Error(`${what} did not happen`);
}

async function forget(): Promise<void> {
  await run("rmi", "-f", `${image}:1`);
  await ok("image", "prune", "-f");
}

/** It is whole, it runs, and every byte of it is what its digest says. */
async function expectWhole(): Promise<void> {
  expect(await ok("image", "inspect", "-f", "{{json .RepoDigests}}", `${image}:1`)).toContain(digest);
  expect(await ok("run", "--rm", `${image}:1`)).toBe("whole");
  expect(await ok("image", "verify", "-q")).toBe("");
}

/** Downloads that are not done. */
const unfinished = (): readonly string[] =>
  readdirSync(join(disk, "lib/ingest")).filter((name) => name.startsWith("download-"));

const slow = 3_000_000;

test("the engine killed in mid-pull: the next pull goes on where it was, and is whole", async () => {
  await forget();
  proxy.rate = slow;
  const client = engine.spawn("pull", `${image}:1`);
  await until(() => proxy.down > 6_000_000, "half of the pull");
  await engine.kill();
  expect(await client.exited).not.toBe(0);
  proxy.hurry();
  await engine.start();
  expect((await run("image", "inspect", `${image}:1`)).code).toBe(1);
  proxy.down = 0;
  expect(await ok("pull", `${image}:1`)).toContain(`Digest: ${digest}`);
  expect(proxy.down).toBeLessThan(11_000_000);
  await expectWhole();
  expect(unfinished()).toEqual([]);
});

test("the engine killed in mid-push: the next push is whole", async () => {
  writeFileSync(join(engine.dir, "Dockerfile"), `FROM ${image}:1\nRUN head -c 7000000 /dev/urandom >/c\n`);
  await ok("build", "-q", "-t", `${image}:2`, "-f", join(engine.dir, "Dockerfile"), engine.dir);
  proxy.rate = slow;
  const client = engine.spawn("push", `${image}:2`);
  await until(() => proxy.up > 3_000_000, "half of the push");
  await engine.kill();
  expect(await client.exited).not.toBe(0);
  proxy.hurry();
  await engine.start();
  const pushed = /digest: (sha256:[0-9a-f]{64})/.exec(await ok("push", `${image}:2`))?.[1];
  await ok("rmi", `${image}:2`);
  expect(await ok("pull", `${image}:2`)).toContain(`Digest: ${pushed}`);
  await ok("rmi", `${image}:2`);
});

const interrupted = [
  { who: "gantry", program: [] as readonly string[] },
  { who: "docker", program: ["docker"] as readonly string[] },
];

test.each(interrupted)(
  "ctrl-c of $who in mid-pull ends the download; nothing seems to be there",
  async ({ program }) => {
    await forget();
    proxy.rate = slow;
    const client =
      program.length === 0
        ? engine.spawn("pull", `${image}:1`)
        : Bun.spawn([...program, "pull", `${image}:1`], {
            env: {
              PATH: process.env["PATH"] ?? "",
              HOME: engine.dir,
              DOCKER_HOST: `unix://${engine.socket}`,
            },
            stdio: ["ignore", "ignore", "ignore"],
          });
    await until(() => proxy.down > 3_000_000, "a part of the pull");
    client.kill("SIGINT");
    expect(await client.exited).not.toBe(0);
    await Bun.sleep(300);
    const after = proxy.down;
    await Bun.sleep(300);
    expect(proxy.down).toBe(after);
    expect((await run("image", "inspect", `${image}:1`)).code).toBe(1);
    proxy.hurry();
    await ok("pull", `${image}:1`);
    await expectWhole();
  },
);

test("the line is cut in mid-pull: it goes on by itself", async () => {
  await forget();
  proxy.rate = slow;
  const client = engine.spawn("pull", `${image}:1`);
  await until(() => proxy.down > 5_000_000, "a part of the pull");
  proxy.hurry();
  proxy.cut();
  expect(await client.exited).toBe(0);
  expect(proxy.down).toBeLessThan(18_000_000);
  await expectWhole();
});

test("a registry that stands still: the client's ctrl-c ends it at once, other commands are answered", async () => {
  await forget();
  proxy.rate = 0;
  const client = engine.spawn("pull", `${image}:1`);
  await Bun.sleep(300);
  expect(await ok("images", "-q", "busybox")).toMatch(/^[0-9a-f]{12}$/);
  const started = performance.now();
  client.kill("SIGINT");
  expect(await client.exited).not.toBe(0);
  expect(performance.now() - started).toBeLessThan(2000);
});

test("two pull one image at once, one is interrupted: the other has it whole", async () => {
  await forget();
  proxy.rate = slow;
  const [first, second] = [engine.spawn("pull", `${image}:1`), engine.spawn("pull", `${image}:1`)];
  await until(() => proxy.down > 3_000_000, "a part of the pull");
  first.kill("SIGINT");
  proxy.hurry();
  expect(await second.exited).toBe(0);
  await expectWhole();
});

test("a full disk: said clearly, nothing is left, and with space again it succeeds", async () => {
  await forget();
  const { bavail, bsize } = statfsSync(disk);
  const filler = join(disk, "filler");
  writeFileSync(filler, Buffer.alloc(bavail * bsize - 9_000_000, 1));
  const { code, err, out } = await run("pull", `${image}:1`);
  expect([code, out + err]).toEqual([
    1,
    expect.stringMatching(/no space left|not enough space|disk is full/i),
  ]);
  expect((await run("image", "inspect", `${image}:1`)).code).toBe(1);
  writeFileSync(filler, "");
  expect(await ok("pull", `${image}:1`)).toContain(`Digest: ${digest}`);
  await expectWhole();
  await forget();
  expect(unfinished()).toEqual([]);
});

test("a push sends layers while it makes them: their uploads begin before anybody knows their digests", async () => {
  const begun: string[] = [];
  using front = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const { pathname, search } = new URL(request.url);
      if (request.method === "POST") begun.push(search);
      return fetch(`http://127.0.0.1:${registry.port}${pathname}${search}`, {
        method: request.method,
        headers: request.headers,
        body: request.body,
      });
    },
  });
  const name = `127.0.0.1:${front.port}/streamed:1`;
  writeFileSync(
    join(engine.dir, "Dockerfile"),
    "FROM busybox\nRUN head -c 3000000 /dev/urandom >/a\nRUN head -c 2000000 /dev/urandom >/b\n",
  );
  await ok("build", "-q", "--no-cache", "-t", name, "-f", join(engine.dir, "Dockerfile"), engine.dir);
  await ok("push", name);
  // At least the two new layers. What is compressed already is looked for in other repositories first.
  expect(begun.filter((search) => search === "").length).toBeGreaterThanOrEqual(2);
  await ok("rmi", name);
});
