/**
 * kill -9 of the registry under pushing clients: what was acknowledged can be pulled and is right, and the collector leaves
 * nothing else. `scripts/bun test/faults/registry-killed.ts disk|s3 [ROUNDS]`
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { TestPostgres } from "../lib/postgres.ts";
import { TestRegistry } from "../lib/registry.ts";
import { childrenOf, RegistryClient, randomBlob, type TestBlob } from "../lib/registry-client.ts";
import { TestS3 } from "../lib/s3.ts";
import { S3Client } from "../../src/registry/s3-client.ts";
import { s3Place } from "../../src/registry/s3-config.ts";

export type StoreKind = "disk" | "s3";

export interface KilledReport {
  readonly acknowledged: number;
  /** Pushes that a kill has ended. */
  readonly interrupted: number;
  /** What is wrong: must be empty. */
  readonly wrong: readonly string[];
  /** Bytes stored when the collector has run, and bytes that the acknowledged images have. */
  readonly stored: number;
  readonly needed: number;
}

interface World extends AsyncDisposable {
  readonly registry: TestRegistry;
  stored(): Promise<number>;
}

const clients = 8;
const periods = ["--gc-grace", "2s", "--upload-age", "2s"];

/** How long clients push before each kill: a push to S3 takes longer. */
const pushMs: Readonly<Record<StoreKind, { readonly least: number; readonly spread: number }>> = {
  disk: { least: 50, spread: 400 },
  s3: { least: 500, spread: 2000 },
};

export async function killRegistry(kind: StoreKind, rounds: number): Promise<KilledReport> {
  await using world = await worldOf(kind);
  const { registry } = world;
  const shared = Array.from({ length: 12 }, () => randomBlob(20_000));
  const acknowledged = new Map<string, string>();
  let interrupted = 0;
  for (let round = 0; round < rounds; round++) {
    let isOver = false;
    const pushing = Array.from({ length: clients }, async (_, number) => {
      const client = new RegistryClient(registry.url);
      for (let i = 0; !isOver; i++) {
        const repository = `team/app-${number % 4}`;
        const tag = `t-${round}-${number}-${i}`;
        const plan = {
          repository,
          tag,
          layers: layersOf(shared, number),
          chunkBytes: number % 4 === 0 ? 3 << 20 : 40_000,
        };
        try {
          acknowledged.set(`${repository}:${tag}`, await client.push(plan));
        } catch {
          // The connection was cut, or nobody listens: that is the test.
          interrupted += 1;
          await Bun.sleep(5);
        }
      }
    });
    await Bun.sleep(pushMs[kind].least + Math.random() * pushMs[kind].spread);
    await registry.kill();
    isOver = true;
    await Promise.all(pushing);
    await registry.up();
  }
  return await judge(world, acknowledged, interrupted);
}

function layersOf(shared: readonly TestBlob[], number: number): readonly TestBlob[] {
  const some = shared.filter(() => Math.random() < 0.3);
  return [...some, randomBlob(number % 4 === 0 ? 6 << 20 : 90_000)];
}

async function judge(
  world: World,
  acknowledged: ReadonlyMap<string, string>,
  interrupted: number,
): Promise<KilledReport> {
  const { registry } = world;
  const client = new RegistryClient(registry.url);
  const wrong: string[] = [];
  const needed = new Map<string, number>();
  // An upload that a kill has ended, and what was touched last.
  await Bun.sleep(2500);
  await collected(registry);
  for (const [name, digest] of acknowledged) {
    const [repository = "", tag = ""] = name.split(":");
    const head = await client.ask(`/v2/${repository}/manifests/${tag}`, { method: "HEAD" });
    if (head.headers.get("docker-content-digest") !== digest) wrong.push(`${name} is not ${digest}`);
    wrong.push(...(await client.verify(repository, digest)));
  }
  // Unacknowledged manifests may have been recorded, too: what they name is needed as well.
  for (let i = 0; i < 4; i++) await addNeeded(client, `team/app-${i}`, needed);
  return {
    acknowledged: acknowledged.size,
    interrupted,
    wrong,
    stored: await world.stored(),
    needed: Array.from(needed.values()).reduce((sum, size) => sum + size, 0),
  };
}

/** A killed instance may have collected: its lease ends by itself. */
async function collected(registry: TestRegistry): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await registry.run("gc", "--deep");
      return;
    } catch (error) {
      if (tries > 30 || !String(error).includes("another instance")) throw error;
      await Bun.sleep(1000);
    }
  }
}

async function addNeeded(
  client: RegistryClient,
  repository: string,
  needed: Map<string, number>,
): Promise<void> {
  const { tags } = (await (await client.ask(`/v2/${repository}/tags/list?n=10000`)).json()) as {
    readonly tags?: readonly string[];
  };
  for (const tag of tags ?? []) {
    const answer = await client.ask(`/v2/${repository}/manifests/${tag}`);
    for (const digest of childrenOf(new Uint8Array(await answer.arrayBuffer()))) {
      if (needed.has(digest)) continue;
      const head = await client.ask(`/v2/${repository}/blobs/${digest}`, { method: "HEAD" });
      needed.set(digest, Number(head.headers.get("content-length")));
    }
  }
}

async function worldOf(kind: StoreKind): Promise<World> {
  const stack = new AsyncDisposableStack();
  try {
    return await openWorld(kind, stack);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function openWorld(kind: StoreKind, stack: AsyncDisposableStack): Promise<World> {
  const directory = mkdtempSync("/tmp/gantry-killed-");
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  if (kind === "disk") {
    const registry = await TestRegistry.start(`${directory}/root`, periods);
    stack.defer(() => registry.stop());
    return {
      registry,
      stored: async () => bytesBelow(`${registry.root}/blobs`) + bytesBelow(`${registry.root}/uploads`),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  }
  const s3 = stack.use(await TestS3.start());
  const postgres = stack.use(await TestPostgres.start());
  const bucket = await s3.bucket();
  const flags = ["--database", await postgres.database(), "--s3", bucket, "--s3-endpoint", s3.endpoint];
  const registry = await TestRegistry.start(`${directory}/root`, [...flags, ...periods], s3.env);
  stack.defer(() => registry.stop());
  const { endpoint, credentials } = s3;
  const client = new S3Client(s3Place({ bucket, endpoint, credentials }));
  return {
    registry,
    stored: async () => {
      let bytes = 0;
      for await (const { size } of client.list("")) bytes += size;
      // Of what is not an object yet, any is too much.
      for await (const _ of client.multiparts("")) bytes += 1;
      return bytes;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function bytesBelow(path: string): number {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return entries.reduce(
    (sum, entry) =>
      sum + (statSync(`${entry.parentPath}/${entry.name}`, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

if (import.meta.main) {
  const [kind = "disk", rounds = "200"] = process.argv.slice(2);
  if (kind !== "disk" && kind !== "s3") throw new Error("disk or s3?");
  const report = await killRegistry(kind, Number(rounds));
  console.log(JSON.stringify(report, undefined, 2));
  process.exit(
    report.wrong.length === 0 && report.stored === report.needed && report.acknowledged > 0 ? 0 : 1,
  );
}
