/** The rules of a registry's house, each on a server that runs: quotas, immutable tags, read-only, rates, retention, webhooks. */
import { afterAll, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { freePort } from "../lib/postgres.ts";
import { randomBlob, RegistryClient } from "../lib/registry-client.ts";
import { registryCommand } from "../lib/registry-command.ts";
import { TestRegistry } from "../lib/registry.ts";

const dir = mkdtempSync("/tmp/gantry-registry-policy-");
const root = `${dir}/root`;
const metricsPort = await freePort();
const registry = await TestRegistry.start(root, ["--metrics-addr", `127.0.0.1:${metricsPort}`]);
const client = new RegistryClient(registry.url);
const command = (...words: readonly string[]): Promise<string> => registryCommand(root, words);
/** Rules count within two seconds. */
const settled = (): Promise<void> => Bun.sleep(2100);

afterAll(async () => {
  await registry.stop();
  rmSync(dir, { recursive: true, force: true });
});

const push = (repository: string, tag: string, bytes = 1000): Promise<string> =>
  client.push({ repository, tag, layers: [randomBlob(bytes)] });

const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "not refused",
    (error: unknown) => String(error),
  );

const tags = async (repository: string): Promise<readonly string[]> => {
  const answer = await client.ask(`/v2/${repository}/tags/list`);
  const { tags: list } = (await answer.json()) as { readonly tags?: readonly string[] };
  return list ?? [];
};

test("a quota refuses with its figures, before the bytes have come", async () => {
  await push("quota/a", "v1", 50_000);
  await command("quota", "set", "--size", "100k", "--tags", "3", "quota/**");
  await settled();
  await push("quota/b", "v1", 10_000);
  expect(await refusal(push("quota/b", "v2", 80_000))).toMatch(
    /403 .*"DENIED".*quota\/\*\* may hold 102400 bytes, holds 6\d{4}/,
  );
  await push("quota/b", "v2", 100);
  expect(await refusal(push("quota/a", "v3", 100))).toContain("may hold 3 tags, holds 3, and this brings 1");
  expect(await command("quota", "ls")).toMatch(/quota\/\*\* +\S+KiB \/ 100KiB +3 +3 \/ 3/);
  await command("quota", "rm", "quota/**");
  await settled();
  await push("quota/a", "v3", 200_000);
});

test("an immutable tag is neither moved nor removed, and may be pushed again as it is", async () => {
  const layers = [randomBlob(1000)];
  const digest = await client.push({ repository: "fixed/app", tag: "v1", layers });
  await command("immutable", "add", "fixed/*:v*");
  await settled();
  const moved = await refusal(push("fixed/app", "v1"));
  expect(moved).toContain("409");
  expect(moved).toContain("tag v1 of fixed/app is immutable");
  await push("fixed/app", "latest");
  for (const reference of ["v1", digest])
    expect((await client.ask(`/v2/fixed/app/manifests/${reference}`, { method: "DELETE" })).status).toBe(409);
  expect(await tags("fixed/app")).toEqual(["latest", "v1"]);
  const again = await client.ask(`/v2/fixed/app/manifests/${digest}`);
  const put = await client.ask("/v2/fixed/app/manifests/v1", {
    method: "PUT",
    body: await again.arrayBuffer(),
    headers: { "content-type": again.headers.get("content-type") ?? "" },
  });
  expect(put.status).toBe(201);
});

test("read-only: pulls go on, pushes are told why", async () => {
  await push("calm/app", "v1");
  await command("read-only", "on", "--reason", "moving to a new disk");
  await Bun.sleep(1100);
  expect(await refusal(push("calm/app", "v2"))).toContain("the registry is read-only: moving to a new disk");
  const answer = await client.ask("/v2/calm/app/blobs/uploads/", { method: "POST" });
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([405, "60"]);
  expect((await client.ask("/v2/calm/app/manifests/v1", { method: "DELETE" })).status).toBe(405);
  expect((await client.ask("/v2/calm/app/manifests/v1")).status).toBe(200);
  await command("read-only", "off");
  await Bun.sleep(1100);
  await push("calm/app", "v2");
});

test("retention: the plan says why, the run does just that, the collector frees the bytes", async () => {
  for (const tag of ["dev-1", "dev-2", "dev-3", "release"]) {
    await push("keep/app", tag);
    await Bun.sleep(5);
  }
  await command(
    "retention",
    "set",
    "--repositories",
    "keep/*",
    "--tags",
    "dev-*",
    "--keep-newest",
    "1",
    "dev",
  );
  const plan = await command("retention", "plan", "--format", "{{.Action}} {{.Reference}} {{.Why}}");
  expect(plan.trim().split("\n")).toEqual([
    "keep dev-3 number 1 of the newest 1",
    "delete dev-2 number 2, beyond the newest 1",
    "delete dev-1 number 3, beyond the newest 1",
  ]);
  expect(await tags("keep/app")).toHaveLength(4);
  await command("retention", "run");
  expect(await tags("keep/app")).toEqual(["dev-3", "release"]);
  await command("retention", "rm", "dev");
  await command("retention", "set", "--repositories", "keep/*", "--untagged-older-than", "1ms", "untagged");
  expect((await command("retention", "run", "-q")).trim().split("\n")).toHaveLength(2);
  await command("retention", "rm", "untagged");
  expect(await command("gc", "--dry-run")).toStartWith("Would free: ");
});

interface Heard {
  readonly signature: string;
  readonly body: string;
}

function receiver(port: number, heard: Heard[], status: () => number): Bun.Server<undefined> {
  return Bun.serve({
    hostname: "127.0.0.1",
    port,
    async fetch(request) {
      const answer = status();
      const body = await request.text();
      if (answer < 300) heard.push({ signature: request.headers.get("gantry-signature") ?? "", body });
      return new Response(null, { status: answer });
    },
  });
}

test("webhooks: signed, tried again, and a kill of the registry loses none", async () => {
  const port = await freePort();
  const heard: Heard[] = [];
  const secret = (
    await command("webhook", "add", "--repositories", "hook/*", "ci", `http://127.0.0.1:${port}/`)
  ).trim();
  await settled();
  // Nobody listens: the deliveries wait.
  for (const tag of ["a", "b", "c"]) await push("hook/app", tag);
  await push("elsewhere/app", "d");
  await Bun.sleep(300);
  expect(await command("webhook", "log", "ci", "--format", "{{.State}}")).toContain("waiting");
  await registry.kill();
  const server = receiver(port, heard, () => 204);
  try {
    await registry.up();
    const manifests = (): readonly string[] =>
      heard.flatMap(({ body }) => {
        const { events } = JSON.parse(body) as {
          readonly events: readonly { readonly target: { readonly tag?: string } }[];
        };
        return events.flatMap(({ target }) => target.tag ?? []);
      });
    for (let i = 0; i < 200 && new Set(manifests()).size < 3; i++) await Bun.sleep(100);
    expect([...new Set(manifests())].toSorted()).toEqual(["a", "b", "c"]);
    const [first] = heard;
    const [, seconds = "", mac = ""] = /^t=(\d+),v1=(.+)$/.exec(first?.signature ?? "") ?? [];
    expect(mac).toBe(
      createHmac("sha256", secret)
        .update(`${seconds}.${first?.body ?? ""}`)
        .digest("hex"),
    );
    expect(await command("webhook", "test", "ci")).toBe("204\n");
  } finally {
    await server.stop(true);
    await command("webhook", "rm", "ci");
  }
}, 60_000);

test("metrics, health, status and audit", async () => {
  await push("metrics/app", "v1");
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  expect(text).toMatch(/gantry_registry_requests_total\{route="uploads",method="POST",status="20[12]"\} \d+/);
  for (const name of [
    "request_seconds_bucket",
    "blob_bytes",
    "uploads",
    "webhook_waiting",
    "requests_running",
  ])
    expect(text).toContain(`gantry_registry_${name}`);
  expect((await client.ask("/metrics")).status).toBe(404);
  for (const path of ["/healthz", "/readyz"]) expect(await (await client.ask(path)).text()).toBe("ok\n");
  const facts = JSON.parse(await command("status", "--format", "json")) as Readonly<Record<string, unknown>>;
  expect(facts).toMatchObject({ database: "SQLite", users: 0, webhooks: 0, waiting: 0 });
  expect(facts["blobs"]).toBeGreaterThan(5);
  const audit = await command("audit", "--what", "calm/app", "--format", "{{.Action}} {{.From}} {{.Result}}");
  expect(audit).toContain("push manifest 127.0.0.1 ok");
  expect(await command("repo", "ls", "calm/*", "--format", "{{.Repository}} {{.Tags}} {{.Manifests}}")).toBe(
    "calm/app 2 2\n",
  );
  await command("repo", "rm", "calm/app");
  expect((await client.ask("/v2/calm/app/manifests/v1")).status).toBe(404);
});

test("rates: 429 with Retry-After; SIGHUP brings others; SIGTERM lets an upload end", async () => {
  const config = `${dir}/config.yml`;
  await Bun.write(config, "rate-pull: 5/m\ngrace: 20s\n");
  const limited = await TestRegistry.start(`${dir}/limited`, ["--config", config]);
  try {
    const ping = (): Promise<Response> => fetch(`${limited.url}/v2/`);
    for (let i = 0; i < 5; i++) expect((await ping()).status).toBe(200);
    const refused = await ping();
    expect([
      refused.status,
      refused.headers.get("ratelimit-limit"),
      refused.headers.get("ratelimit-remaining"),
    ]).toEqual([429, "5", "0"]);
    expect(Number(refused.headers.get("retry-after"))).toBeWithin(1, 13);
    expect(await refused.json()).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
    await Bun.write(config, "rate-pull: 0\ngrace: 20s\n");
    process.kill(limited.pid, "SIGHUP");
    await Bun.sleep(300);
    expect((await ping()).status).toBe(200);
    const begun = await fetch(`${limited.url}/v2/a/blobs/uploads/`, { method: "POST" });
    const feed = new TransformStream<Uint8Array, Uint8Array>();
    const writer = feed.writable.getWriter();
    const upload = fetch(new URL(begun.headers.get("location") ?? "", limited.url), {
      method: "PATCH",
      body: feed.readable,
    });
    await writer.write(Buffer.alloc(1000));
    await Bun.sleep(200);
    const stopped = limited.stop();
    await Bun.sleep(300);
    await writer.write(Buffer.alloc(1000));
    await writer.close();
    expect((await upload).status).toBe(202);
    await stopped;
  } finally {
    await limited.kill();
  }
}, 60_000);
