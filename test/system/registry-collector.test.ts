/** The collector beside pushes: sixteen clients push what they share while all that can be deleted is deleted. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { TestRegistry } from "../lib/registry.ts";
import { blobOf, childrenOf, RegistryClient, randomBlob, type TestBlob } from "../lib/registry-client.ts";

const directory = mkdtempSync("/tmp/gantry-collector-");
const clients = 16;
const rounds = 6;
/** Tiny, but longer than a request may take on a machine that is busy. */
const graceSeconds = 4;
const shared: readonly TestBlob[] = Array.from({ length: 24 }, () => randomBlob(40_000));

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Bytes of all files below; one may be removed meanwhile. */
function bytesBelow(path: string): number {
  const names = readdirSync(path, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) =>
        sum + (statSync(`${entry.parentPath}/${entry.name}`, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
}

const someOf = (blobs: readonly TestBlob[], count: number): readonly TestBlob[] =>
  blobs.toSorted(() => Math.random() - 0.5).slice(0, count);

test("deletion returns the bytes while clients push, and no push fails", async () => {
  const registry = await TestRegistry.start(`${directory}/root`, [
    "--gc-grace",
    `${graceSeconds}s`,
    "--upload-age",
    "30s",
  ]);
  const repositories = Array.from({ length: 6 }, (_, i) => `team/app-${i}`);
  let isPushing = true;
  let deleted = 0;
  /** Deletes whatever it finds, but the last round's. */
  const deleter = async (): Promise<void> => {
    const client = new RegistryClient(registry.url);
    for (let i = 0; isPushing; i++) {
      const repository = repositories[i % repositories.length] ?? "";
      const answer = await client.ask(`/v2/${repository}/tags/list`);
      const { tags = [] } = (await answer.json()) as { readonly tags?: readonly string[] };
      for (const tag of tags.filter((name) => !name.startsWith("last"))) {
        const head = await client.ask(`/v2/${repository}/manifests/${tag}`, { method: "HEAD" });
        const digest = head.headers.get("docker-content-digest");
        if (digest === null) continue;
        const gone = await client.ask(`/v2/${repository}/manifests/${digest}`, { method: "DELETE" });
        if (gone.status === 202) deleted += 1;
      }
      await Bun.sleep(20);
    }
  };
  const pusher = async (number: number): Promise<readonly string[]> => {
    const client = new RegistryClient(registry.url);
    const kept: string[] = [];
    for (let round = 0; round < rounds; round++) {
      const repository = repositories[(number + round) % repositories.length] ?? "";
      const tag = `${round === rounds - 1 ? "last" : "r"}-${number}-${round}`;
      const layers = [...someOf(shared, 6), randomBlob(100_000)];
      const from = repositories[(number * 7) % repositories.length] ?? "";
      const digest = await client.push({
        repository,
        tag,
        layers,
        ...(number % 2 === 0 ? { mountFrom: from } : {}),
        ...(number % 3 === 0 ? { chunkBytes: 30_000 } : {}),
      });
      if (tag.startsWith("last")) kept.push(`${repository}@${digest}`);
      await Bun.sleep(Math.random() * 1500);
    }
    return kept;
  };
  try {
    const deletes = deleter();
    const pushed = await Promise.all(Array.from({ length: clients }, (_, i) => pusher(i)));
    isPushing = false;
    await deletes;
    expect(deleted).toBeGreaterThan(clients);
    const client = new RegistryClient(registry.url);
    const live = new Set<string>();
    let bytes = 0;
    for (const [repository = "", digest = ""] of pushed.flat().map((name) => name.split("@"))) {
      expect(await client.verify(repository, digest)).toEqual([]);
      const manifest = new Uint8Array(
        await (await client.ask(`/v2/${repository}/manifests/${digest}`)).arrayBuffer(),
      );
      for (const child of childrenOf(manifest)) {
        if (live.has(child)) continue;
        live.add(child);
        const head = await client.ask(`/v2/${repository}/blobs/${child}`, { method: "HEAD" });
        bytes += Number(head.headers.get("content-length"));
      }
    }
    // By itself, within the grace and a little.
    for (let waited = 0; bytesBelow(`${registry.root}/blobs`) !== bytes && waited < 40; waited++)
      await Bun.sleep(500);
    expect(bytesBelow(`${registry.root}/blobs`)).toBe(bytes);
    expect(readdirSync(`${registry.root}/uploads`)).toEqual([]);
    expect(registry.log).not.toContain('"level":"error"');
  } finally {
    isPushing = false;
    await registry.stop();
  }
}, 60_000);

test("what no record knows of is removed, what is recorded and gone is told, what has changed is put aside", async () => {
  const registry = await TestRegistry.start(`${directory}/second`, [
    "--gc-grace",
    "1s",
    "--upload-age",
    "1s",
  ]);
  try {
    const client = new RegistryClient(registry.url);
    const [lost, changed, fine] = [randomBlob(1000), randomBlob(2000), randomBlob(3000)];
    await client.push({ repository: "one", tag: "v1", layers: [lost, changed, fine] });
    const path = ({ digest }: TestBlob): string =>
      `${registry.root}/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;
    const orphan = blobOf(Buffer.from("nobody knows me"));
    await Bun.write(path(orphan), orphan.bytes);
    await Bun.write(`${registry.root}/uploads/0c1b8f4e-0000-4000-8000-000000000000`, "half");
    await Bun.write(path(changed), "x".repeat(2000));
    rmSync(path(lost));
    await Bun.sleep(1500);
    const told = await registry.run("gc", "--deep", "--dry-run").catch(String);
    expect(told).toContain(lost.digest);
    expect(await Bun.file(path(orphan)).exists()).toBe(true);
    await registry.run("gc", "--deep").catch(String);
    expect(await Bun.file(path(orphan)).exists()).toBe(false);
    expect(readdirSync(`${registry.root}/uploads`)).toEqual([]);
    const scrubbed = await registry.run("scrub").catch(String);
    expect(scrubbed).toContain(changed.digest);
    const answer = await client.ask(`/v2/one/blobs/${changed.digest}`);
    expect(answer.status).toBe(404);
    await client.push({ repository: "one", tag: "v1", layers: [lost, changed, fine] });
    expect(await client.verify("one", "v1")).toEqual([]);
  } finally {
    await registry.stop();
  }
}, 30_000);
