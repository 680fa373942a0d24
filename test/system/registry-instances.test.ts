/** Two instances of one registry: what begins at one goes on at the other, and one may be killed. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { TestPostgres } from "../lib/postgres.ts";
import { TestRegistry } from "../lib/registry.ts";
import { RegistryClient, randomBlob } from "../lib/registry-client.ts";
import { TestS3 } from "../lib/s3.ts";

const directory = mkdtempSync("/tmp/gantry-instances-");
const postgres = await TestPostgres.start();
const s3 = await TestS3.start();

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const stores = {
  S3: async () => ["--s3", await s3.bucket(), "--s3-endpoint", s3.endpoint],
  "a shared directory": async () => ["--blobs", `${directory}/shared`],
} as const;

describe.each(Object.entries(stores))("two instances on PostgreSQL and %s", (name, flagsOf) => {
  test("work as one, and one is killed", async () => {
    const flags = ["--database", await postgres.database(), ...(await flagsOf())];
    const root = `${directory}/${name.replaceAll(" ", "-")}`;
    const [one, two] = await Promise.all(
      ["one", "two"].map((own) => TestRegistry.start(`${root}-${own}`, flags, s3.env)),
    );
    if (one === undefined || two === undefined) throw new Error("no instances");
    try {
      const both = new RegistryClient(one.url, two.url);
      // Request after request at the other instance, pieces of one upload among them.
      const blob = randomBlob(7 << 20);
      await both.push({
        repository: "a",
        tag: "v1",
        layers: [blob, randomBlob(1000)],
        chunkBytes: 1_500_000,
      });
      expect(await both.verify("a", "v1")).toEqual([]);
      await both.push({ repository: "b", tag: "v1", layers: [blob], mountFrom: "a" });
      const other = new RegistryClient(two.url);
      const digest = (await other.ask("/v2/b/manifests/v1", { method: "HEAD" })).headers.get(
        "docker-content-digest",
      );
      await new RegistryClient(one.url).ask(`/v2/b/manifests/${digest}`, { method: "DELETE" }, [202]);
      expect((await other.ask("/v2/b/manifests/v1")).status).toBe(404);

      const acknowledged = new Map<string, string>();
      const shared = [randomBlob(30_000), randomBlob(30_000)];
      let isOver = false;
      const pushing = Array.from({ length: 8 }, async (_, number) => {
        const client = new RegistryClient(...(number % 2 === 0 ? [one.url, two.url] : [two.url, one.url]));
        for (let i = 0; !isOver; i++) {
          const repository = `team/app-${number % 3}`;
          const tag = `t-${number}-${i}`;
          const plan = { repository, tag, layers: [...shared, randomBlob(90_000)], chunkBytes: 40_000 };
          try {
            acknowledged.set(`${repository}:${tag}`, await client.push(plan));
          } catch {
            // Every other request of this push went to the instance that is dead.
            await Bun.sleep(20);
          }
        }
      });
      for (let waited = 0; acknowledged.size < 16 && waited < 15_000; waited += 100) await Bun.sleep(100);
      await one.kill();
      await Bun.sleep(300);
      isOver = true;
      await Promise.all(pushing);
      expect(acknowledged.size).toBeGreaterThan(8);
      for (const [tagged, manifest] of acknowledged) {
        const [repository = "", tag = ""] = tagged.split(":");
        const head = await other.ask(`/v2/${repository}/manifests/${tag}`, { method: "HEAD" });
        expect(head.headers.get("docker-content-digest")).toBe(manifest);
        expect(await other.verify(repository, manifest)).toEqual([]);
      }
      // What the dead one had begun, the living one goes on with.
      await one.up();
      await new RegistryClient(one.url, two.url).push({ repository: "c", tag: "v1", layers: shared });
      expect(`${one.log}${two.log}`).not.toContain('"level":"error"');
    } finally {
      await one.stop();
      await two.stop();
    }
  }, 60_000);
});
