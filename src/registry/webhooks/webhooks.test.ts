import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { createLogger, sha256 } from "../../lib/index.ts";
import { MemorySql } from "../memory-sql.test-data.ts";
import type { RegistryEvent } from "../types.ts";
import { envelopeOf } from "./envelope.ts";
import { Notifier } from "./notifier.ts";
import { DeliveryQueue, retryMs } from "./queue.ts";
import { httpSender, type Sender, signatureOf } from "./send.ts";
import { hears, Webhooks } from "./webhooks.ts";

const source = { origin: "https://r.example", address: "r.example:443", instance: "i" };
const quiet = createLogger("error", () => undefined);

const event = (over: Partial<RegistryEvent> = {}, repository = "team/app"): RegistryEvent => ({
  id: crypto.randomUUID(),
  atMs: 0,
  action: "push",
  target: { repository, digest: sha256("x"), tag: "v1", mediaType: "m", size: 7, kind: "manifest" },
  actor: { name: "alice", kind: "user" },
  remote: "10.0.0.1",
  requestId: "q",
  userAgent: "docker/28",
  ...over,
});

const hook = {
  name: "ci",
  url: "http://127.0.0.1:9/",
  secret: "s",
  actions: ["push"],
  repositories: "team/*",
};

test("the envelope is that of Docker's registry", () => {
  expect(JSON.parse(envelopeOf(event({ id: "e" }), source))).toEqual({
    events: [
      {
        id: "e",
        timestamp: "1970-01-01T00:00:00.000Z",
        action: "push",
        target: {
          mediaType: "m",
          size: 7,
          digest: sha256("x"),
          length: 7,
          repository: "team/app",
          url: `https://r.example/v2/team/app/manifests/${sha256("x")}`,
          tag: "v1",
        },
        request: { id: "q", addr: "10.0.0.1", host: "r.example", method: "PUT", useragent: "docker/28" },
        actor: { name: "alice" },
        source: { addr: "r.example:443", instanceID: "i" },
      },
    ],
  });
});

test("the signature covers the time", () => {
  const mac = createHmac("sha256", "key").update("5.body").digest("hex");
  expect(signatureOf("key", 5, "body")).toBe(`t=5,v1=${mac}`);
});

test("filters by action and repository", async () => {
  const webhooks = new Webhooks(await MemorySql.open());
  await webhooks.add(hook);
  const added = await webhooks.get("ci");
  expect(hears(added, "push", "team/app")).toBe(true);
  expect(hears(added, "pull", "team/app")).toBe(false);
  expect(hears(added, "push", "other/app")).toBe(false);
  expect(hears({ ...added, disabled: true }, "push", "team/app")).toBe(false);
});

test.each([
  ["ftp://x/", "no address"],
  ["http://user:pw@x/", "no address"],
  ["nonsense", "no address"],
])("refuses %s", async (url, message) => {
  const webhooks = new Webhooks(await MemorySql.open());
  expect(webhooks.add({ ...hook, url })).rejects.toThrow(message);
  expect(webhooks.add({ ...hook, actions: ["burn"] })).rejects.toThrow("no events");
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await condition()) return;
    await Bun.sleep(5);
  }
  throw new Error("it did not happen");
}

interface World {
  readonly sql: MemorySql;
  readonly webhooks: Webhooks;
  readonly queue: DeliveryQueue;
}

async function makeWorld(now: () => number = Date.now): Promise<World> {
  const sql = await MemorySql.open();
  return { sql, webhooks: new Webhooks(sql, now), queue: new DeliveryQueue(sql, now) };
}

const notifierOf = ({ webhooks, queue }: World, sender: Sender, now: () => number = Date.now): Notifier =>
  new Notifier({ webhooks, queue, sender, source, logger: quiet, now });

test("a slow receiver holds up nobody else, and what waits survives a restart", async () => {
  const world = await makeWorld();
  await world.webhooks.add({ ...hook, name: "slow" });
  await world.webhooks.add({ ...hook, name: "quick" });
  const got: string[] = [];
  const stuck = Promise.withResolvers<void>();
  const first = notifierOf(world, {
    async send({ name }) {
      if (name === "slow") await stuck.promise;
      else got.push(name);
      return { ok: name !== "slow", result: "200" };
    },
  });
  await first.start();
  for (let i = 0; i < 3; i++) first.listen(event());
  await until(() => got.length === 3);
  expect(await world.queue.counts()).toEqual({ waiting: 3, dead: 0 });
  stuck.resolve();
  await first.close();
  // A lease that the first process holds, or the time of its next try.
  await world.sql.query("UPDATE webhook_delivery SET next_ms = 0 WHERE state = 'waiting'");
  const second = notifierOf(world, {
    async send({ name }) {
      got.push(name);
      return { ok: true, result: "200" };
    },
  });
  await second.start();
  await until(async () => (await world.queue.counts()).waiting === 0);
  expect(got.filter((name) => name === "slow")).toHaveLength(3);
  await second.close();
});

test("tried again with growing patience, then dead, then revived", async () => {
  let now = 1_000_000;
  const world = await makeWorld(() => now);
  await world.webhooks.add(hook);
  await world.queue.add("ci", "{}");
  for (let i = 0; i < 12; i++) {
    const delivery = await world.queue.take("ci");
    if (delivery === undefined) throw new Error("nothing was due");
    expect(delivery.attempts).toBe(i + 1);
    expect(await world.queue.take("ci")).toBeUndefined();
    expect(await world.queue.failed(delivery, "500")).toBe(i < 11 ? "again" : "dead");
    now += retryMs(i + 1);
  }
  expect(await world.queue.take("ci")).toBeUndefined();
  expect(await world.queue.counts()).toEqual({ waiting: 0, dead: 1 });
  expect((await world.queue.log("ci", 10))[0]).toMatchObject({ state: "dead", result: "500", attempts: 12 });
  expect(await world.queue.revive("ci")).toBe(1);
  expect((await world.queue.take("ci"))?.attempts).toBe(1);
  expect([1, 2, 3, 20].map(retryMs)).toEqual([1000, 2000, 4000, 900_000]);
});

test("the queue of a receiver that is gone is bounded", async () => {
  const { sql, queue } = await makeWorld();
  await sql.query(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
     INSERT INTO webhook_delivery SELECT 'id' || i, 'ci', '{}', 0, 0, 'waiting', '', 0 FROM n`,
  );
  expect(await queue.add("ci", "{}")).toBe(false);
  expect(await queue.add("other", "{}")).toBe(true);
});

test("sent over HTTP: signed, not led elsewhere, not to link-local addresses", async () => {
  const seen: Record<string, string>[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = await request.text();
      seen.push({ ...Object.fromEntries(request.headers), body });
      if (new URL(request.url).pathname === "/away")
        return new Response("", { status: 302, headers: { Location: "/elsewhere" } });
      return new Response("", { status: 204 });
    },
  });
  const to = (path: string): Parameters<Sender["send"]>[0] => ({
    ...hook,
    actions: ["push"],
    disabled: false,
    url: `http://127.0.0.1:${server.port}${path}`,
  });
  try {
    expect(await httpSender().send(to("/hook"), "d1", "{}")).toEqual({ ok: true, result: "204" });
    const [first] = seen;
    const [, seconds = "", mac = ""] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(first?.["gantry-signature"] ?? "") ?? [];
    expect(mac).toBe(createHmac("sha256", "s").update(`${seconds}.{}`).digest("hex"));
    expect(first?.["content-type"]).toBe("application/vnd.docker.distribution.events.v1+json");
    expect(await httpSender().send(to("/away"), "d2", "{}")).toEqual({ ok: false, result: "302" });
    expect(seen).toHaveLength(2);
    // The address that was checked is the one that is connected to, under the name that was given.
    const leads = [["127.0.0.1"], ["169.254.169.254"]];
    const rebound = httpSender(async () => leads.shift() ?? []);
    const named = { ...to("/"), url: `http://hook.example:${server.port}/named` };
    expect(await rebound.send(named, "d3", "{}")).toEqual({ ok: true, result: "204" });
    expect(seen.at(-1)?.["host"]).toBe(`hook.example:${server.port}`);
    expect(leads).toHaveLength(1);
    expect((await rebound.send(named, "d3", "{}")).result).toStartWith("refused");
    for (const url of [
      "http://169.254.169.254/latest",
      "http://[fe80::1]/",
      "http://[::ffff:169.254.169.254]/",
    ])
      expect((await httpSender().send({ ...to("/"), url }, "d3", "{}")).result).toStartWith("refused");
  } finally {
    await server.stop(true);
  }
});
