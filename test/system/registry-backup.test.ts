/** A backup taken while the registry works, as docs/registry.md says, and what comes back from it. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { TestPostgres } from "../lib/postgres.ts";
import { randomBlob, RegistryClient } from "../lib/registry-client.ts";
import { TestRegistry } from "../lib/registry.ts";

const dir = mkdtempSync("/tmp/gantry-registry-backup-");
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function ok(...words: readonly string[]): Promise<string> {
  const child = Bun.spawn([...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe", cwd: dir });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")}: ${out}${err}`);
  return out;
}

/** Takes a backup while images are pushed; those that were acknowledged before it began. */
async function whilePushing(registry: TestRegistry, backup: () => Promise<void>): Promise<readonly string[]> {
  const client = new RegistryClient(registry.url);
  const tags: string[] = [];
  let isOver = false;
  const shared = randomBlob(50_000);
  const pushing = Array.from({ length: 3 }, async (_, number) => {
    for (let i = 0; !isOver; i++) {
      const tag = `v-${number}-${i}`;
      await client.push({ repository: "team/app", tag, layers: [shared, randomBlob(20_000)] });
      tags.push(tag);
    }
  });
  while (tags.length < 12) await Bun.sleep(20);
  const before = [...tags];
  await backup();
  isOver = true;
  await Promise.all(pushing);
  return before;
}

/** All images that it lists are whole, and those are among them. */
async function expectWhole(registry: TestRegistry, wanted: readonly string[]): Promise<void> {
  const client = new RegistryClient(registry.url);
  const answer = await client.ask("/v2/team/app/tags/list?n=10000");
  const { tags } = (await answer.json()) as { readonly tags: readonly string[] };
  expect(wanted.filter((tag) => !tags.includes(tag))).toEqual([]);
  for (const tag of tags) expect(await client.verify("team/app", tag)).toEqual([]);
  expect(await registry.run("gc", "--deep")).toContain("Freed: ");
  await client.push({ repository: "team/app", tag: "after", layers: [randomBlob(1000)] });
}

test.each([
  ["sqlite3's .backup", (to: string) => [`.backup ${to}`]],
  ["VACUUM INTO", (to: string) => [`VACUUM INTO '${to}'`]],
])(
  "SQLite by %s, blobs by cp",
  async (name, commandOf) => {
    const at = `${dir}/${name.replaceAll(/[^a-z]/gi, "")}`;
    const registry = await TestRegistry.start(`${at}/root`, ["--grace", "1s"]);
    const restored = `${at}/restored`;
    mkdirSync(restored, { mode: 0o700 });
    let wanted: readonly string[] = [];
    try {
      await registry.run("quota", "set", "--tags", "9999", "team/**");
      wanted = await whilePushing(registry, async () => {
        await ok("sqlite3", `${registry.root}/registry.db`, ...commandOf(`${restored}/registry.db`));
        await ok("cp", "-a", `${registry.root}/blobs`, `${restored}/blobs`);
      });
    } finally {
      await registry.stop();
    }
    const again = await TestRegistry.start(restored);
    try {
      await expectWhole(again, wanted);
      expect(await again.run("quota", "ls")).toContain("9999");
    } finally {
      await again.stop();
    }
  },
  30_000,
);

test("PostgreSQL by pg_dump, blobs by cp", async () => {
  await using postgres = await TestPostgres.start();
  const [database, fresh] = [await postgres.database(), await postgres.database()];
  const blobs = `${dir}/postgres/blobs`;
  const registry = await TestRegistry.start(`${dir}/postgres/root`, [
    "--database",
    database,
    "--blobs",
    blobs,
  ]);
  let wanted: readonly string[] = [];
  try {
    wanted = await whilePushing(registry, async () => {
      await ok("pg_dump", "--format=custom", "--file=registry.dump", database);
      await ok("cp", "-a", blobs, `${dir}/postgres/restored-blobs`);
    });
  } finally {
    await registry.stop();
  }
  await ok("pg_restore", "--dbname", fresh, "registry.dump");
  const flags = ["--database", fresh, "--blobs", `${dir}/postgres/restored-blobs`];
  const again = await TestRegistry.start(`${dir}/postgres/again`, flags);
  try {
    await expectWhole(again, wanted);
  } finally {
    await again.stop();
  }
}, 30_000);
