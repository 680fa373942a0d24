/** The registry's rules where they cross processes: two instances on one PostgreSQL, a mirror of another registry, a full disk. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { TestDockerRegistry } from "../lib/docker-registry.ts";
import { binary, TestEngine } from "../lib/engine.ts";
import { freePort, TestPostgres } from "../lib/postgres.ts";
import { randomBlob, RegistryClient } from "../lib/registry-client.ts";
import { TestRegistry } from "../lib/registry.ts";

const dir = mkdtempSync("/tmp/gantry-registry-admin-");
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(
  words: readonly string[],
  options: { readonly input?: string; readonly env?: Record<string, string> } = {},
): Promise<{ readonly code: number; readonly text: string }> {
  const child = Bun.spawn([...words], {
    stdin: options.input === undefined ? "ignore" : Buffer.from(options.input),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    timeout: 40_000,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, text: out + err };
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await what()) return;
    await Bun.sleep(25);
  }
  throw new Error("it did not happen");
}

test("two instances on one PostgreSQL: one key, the same accounts, each event delivered once", async () => {
  await using postgres = await TestPostgres.start();
  const database = await postgres.database();
  const heard: string[] = [];
  const receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      heard.push(request.headers.get("gantry-delivery") ?? "");
      return new Response(null, { status: 204 });
    },
  });
  const flags = ["--database", database, "--blobs", `${dir}/shared`, "--auth", "accounts"];
  const [one, two] = await Promise.all(
    ["one", "two"].map((name) => TestRegistry.start(`${dir}/${name}`, flags)),
  );
  if (one === undefined || two === undefined) throw new Error("no instances");
  try {
    const add = ["registry", "user", "add", "--password-stdin", "--root", one.root, "--database", database];
    expect((await run([binary, ...add, "alice"], { input: "secret of alice\n" })).text).toBe("alice\n");
    await one.run("grant", "alice", "team/*", "pull,push");
    await one.run("webhook", "add", "--repositories", "team/*", "ci", `http://127.0.0.1:${receiver.port}/`);
    await Bun.sleep(2100);
    const basic = { authorization: `Basic ${btoa("alice:secret of alice")}` };
    const tokenAt = async (instance: TestRegistry): Promise<string> => {
      const answer = await fetch(`${instance.url}/token?scope=repository:team/app:pull,push`, {
        headers: basic,
      });
      return ((await answer.json()) as { readonly token: string }).token;
    };
    // Each request at the other instance, with a token of one.
    const token = await tokenAt(two);
    const client = new RegistryClient(one.url, two.url);
    client.headers = { authorization: `Bearer ${token}` };
    await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        client.push({ repository: "team/app", tag: `v${i}`, layers: [randomBlob(500)] }),
      ),
    );
    await one.run("key", "rotate");
    await Bun.sleep(100);
    for (const instance of [one, two]) {
      const ask = (bearer: string): Promise<Response> =>
        fetch(`${instance.url}/v2/team/app/tags/list`, { headers: { authorization: `Bearer ${bearer}` } });
      expect((await ask(token)).status).toBe(200);
      expect((await ask(await tokenAt(one))).status).toBe(200);
    }
    const status = async (): Promise<{ readonly waiting: number }> =>
      JSON.parse(await two.run("status", "--format", "json"));
    await until(async () => (await status()).waiting === 0);
    // 12 manifests; of each, two blobs: its config and its layer.
    expect(heard.length).toBe(36);
    expect(new Set(heard).size).toBe(36);
    expect(`${one.log}${two.log}`).not.toContain('"level":"error"');
  } finally {
    await receiver.stop(true);
    await one.stop();
    await two.stop();
  }
}, 60_000);

test("a kill after the answer loses no event", async () => {
  const root = `${dir}/killed`;
  const port = await freePort();
  const registry = await TestRegistry.start(root);
  await registry.run("webhook", "add", "ci", `http://127.0.0.1:${port}/`);
  await Bun.sleep(2100);
  const client = new RegistryClient(registry.url);
  const acknowledged: string[] = [];
  const pushing = Array.from({ length: 6 }, async (_, number) => {
    for (let i = 0; ; i++) {
      const tag = `t-${number}-${i}`;
      try {
        await client.push({ repository: "app", tag, layers: [] });
      } catch {
        return;
      }
      acknowledged.push(tag);
    }
  });
  await until(() => acknowledged.length > 30);
  await registry.kill();
  await Promise.all(pushing);
  const heard = new Set<string>();
  const receiver = Bun.serve({
    hostname: "127.0.0.1",
    port,
    async fetch(request) {
      for (const [, tag = ""] of (await request.text()).matchAll(/"tag":"([^"]+)"/g)) heard.add(tag);
      return new Response(null, { status: 204 });
    },
  });
  try {
    await registry.up();
    await until(() => acknowledged.every((tag) => heard.has(tag)));
    const { tags } = (await (await client.ask("/v2/app/tags/list?n=1000")).json()) as {
      readonly tags: readonly string[];
    };
    // What was committed without an answer is told of, too.
    await until(() => tags.every((tag) => heard.has(tag)));
  } finally {
    await receiver.stop(true);
    await registry.stop();
  }
}, 60_000);

test("a mirror: with credentials, for docker's --registry-mirror and ours, while upstream is down; not pushed to", async () => {
  await using upstream = await TestDockerRegistry.start("hub:secret of hub");
  writeFileSync(`${dir}/hello`, randomBytes(200_000));
  const bytes = Buffer.from(await Bun.$`tar -c -C ${dir} hello`.arrayBuffer());
  await upstream.push("library/tiny", "v1", bytes);
  await upstream.push("team/app", "v1", bytes);
  mkdirSync(`${dir}/credentials`);
  const server = `127.0.0.1:${upstream.port}`;
  const auths = { [server]: { auth: btoa("hub:secret of hub") } };
  writeFileSync(`${dir}/credentials/config.json`, JSON.stringify({ auths }));
  const credentials = ["--upstream-credentials", `${dir}/credentials`];
  const prefixed = await TestRegistry.start(`${dir}/prefixed`, [
    "--upstream",
    `hub=${server}`,
    ...credentials,
  ]);
  const mirror = await TestRegistry.start(`${dir}/mirror`, ["--upstream", `=${server}`, ...credentials]);
  const without = await TestRegistry.start(`${dir}/without`, ["--upstream", `=${server}`]);
  try {
    const client = new RegistryClient(prefixed.url);
    expect(await client.verify("hub/team/app", "v1")).toEqual([]);
    const push = { tag: "v9", layers: [randomBlob(10)] };
    await expect(client.push({ ...push, repository: "hub/team/app" })).rejects.toThrow(
      "is a cache of another registry",
    );
    await client.push({ ...push, repository: "own/app" });
    await expect(new RegistryClient(mirror.url).push({ ...push, repository: "own/app" })).rejects.toThrow(
      "is a cache of another registry",
    );
    const refused = await fetch(`${without.url}/v2/library/tiny/manifests/v1`);
    expect([refused.status, await refused.text()]).toEqual([
      403,
      expect.stringContaining("unauthorized: authentication required"),
    ]);
    expect(await new RegistryClient(mirror.url).verify("library/tiny", "v1")).toEqual([]);
    await upstream.down();
    expect(await client.verify("hub/team/app", "v1")).toEqual([]);
    const gone = await fetch(`${mirror.url}/v2/library/other/manifests/v1`);
    expect(gone.status).toBe(503);
    expect(await throughDocker(mirror.url)).toContain("Status: Downloaded newer image for tiny:v1");
    const engine = new TestEngine("mirror");
    await engine.start(["--registry-mirror", mirror.url]);
    try {
      const pulled = engine.run(["pull", "tiny:v1"]);
      expect(pulled.out + pulled.err).toContain("Downloaded newer image for tiny:v1");
    } finally {
      await engine.uninstall();
    }
  } finally {
    await Promise.all([prefixed.stop(), mirror.stop(), without.stop()]);
  }
}, 60_000);

/** What `docker pull tiny:v1` prints by a dockerd with a mirror. */
async function throughDocker(mirror: string): Promise<string> {
  const home = `${dir}/dockerd`;
  const socket = `unix://${dir}/docker.sock`;
  mkdirSync(home);
  const dockerd = Bun.spawn(
    [
      "dockerd",
      "--data-root",
      `${home}/root`,
      "--exec-root",
      `${home}/run`,
      "--pidfile",
      `${home}/pid`,
    ].concat(
      ["-H", socket, "--iptables=false", "--bridge=none", "--storage-driver", "vfs"],
      ["--registry-mirror", mirror],
    ),
    { stdin: "ignore", stdout: "ignore", stderr: Bun.file(`${home}/log`) },
  );
  try {
    await until(async () => (await run(["docker", "-H", socket, "version"])).code === 0);
    return (await run(["docker", "-H", socket, "pull", "tiny:v1"], { env: { DOCKER_CONFIG: home } })).text;
  } finally {
    dockerd.kill("SIGTERM");
    await dockerd.exited;
  }
}

test("a log and an audit log without room: the service goes on, and says once what is missing", async () => {
  const disk = `${dir}/disk`;
  mkdirSync(disk);
  expect((await run(["mount", "-t", "tmpfs", "-o", "size=64k", "gantry-test-disk", disk])).code).toBe(0);
  const root = `${dir}/full`;
  const port = await freePort();
  mkdirSync(root);
  const log = `${disk}/log`;
  const child = Bun.spawn(
    ["sh", "-c", `exec "$@" 2>>${log}`, "sh", binary].concat([
      "registry",
      "serve",
      "--root",
      root,
      "--addr",
      `127.0.0.1:${port}`,
      "--debug",
    ]),
    { stdin: "ignore", stdout: "pipe" },
  );
  try {
    const client = new RegistryClient(`http://127.0.0.1:${port}`);
    await until(async () => {
      try {
        return (await client.ask("/v2/")).status === 200;
      } catch {
        return false;
      }
    });
    await run(["sh", "-c", `dd if=/dev/zero of=${disk}/filler bs=1k 2>/dev/null`]);
    // Lines of a log: the limits are read again. The last page of the file takes some of them still.
    for (let i = 0; i < 100; i++) {
      process.kill(child.pid, "SIGHUP");
      await Bun.sleep(5);
    }
    for (let i = 0; i < 5; i++) {
      process.kill(child.pid, "SIGHUP");
      await client.push({ repository: "a", tag: `v${i}`, layers: [randomBlob(100)] });
      await Bun.sleep(30);
    }
    rmSync(`${disk}/filler`);
    process.kill(child.pid, "SIGHUP");
    await until(() => readFileSync(log, "utf8").includes('"log.lost"'));
    const lines = readFileSync(log, "utf8").trim().split("\n");
    expect(lines.filter((line) => line.includes("log.lost"))).toHaveLength(1);
    expect(lines.at(-1)).toContain("registry.reloaded");
  } finally {
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    await run(["umount", disk]);
  }
}, 30_000);
