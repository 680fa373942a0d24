/** A pull that is killed at each step, or finds the disk full: nothing half made is seen, nothing stays, the next one succeeds. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { createLayout, openLayout, parseReference } from "../../src/image/index.ts";
import {
  bytesOf,
  failure,
  type Fixture,
  leftovers,
  openFixture,
  stream,
  tarOf,
} from "../system/image-fixture.ts";
import { MemorySource } from "../system/image-source.ts";

const dir = fs.mkdtempSync("/tmp/gantry-pull-killed-");
const layout = `${dir}/layout`;
const reference = parseReference("test.example/thing:1");
const unused = { force: true, noPrune: false, usedBy: () => undefined };
const source = new MemorySource();
const made = source.image({
  tars: [
    tarOf("mkdir -p etc; head -c 900000 /dev/urandom >etc/a"),
    tarOf("mkdir -p etc; head -c 700000 /dev/urandom >etc/b"),
    tarOf("printf x >c"),
  ],
});

beforeAll(async () => {
  await using target = await createLayout(layout);
  for (const blob of [
    ...made.layers,
    { mediaType: "application/vnd.oci.image.config.v1+json", digest: made.id, size: made.config.length },
  ])
    await target.putBlob(blob, { open: () => stream(source.blobs.get(blob.digest) ?? new Uint8Array()) });
  await target.putManifest(made.manifest);
});

afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

async function pullInChild(
  root: string,
  last: number,
): Promise<{ readonly out: string; readonly signal: unknown }> {
  const script = new URL("pull-killed-child.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, script, root, layout, String(last)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const out = await new Response(child.stdout).text();
  await child.exited;
  return { out, signal: child.signalCode };
}

/** All or nothing is there; what is there is intact; then it is pulled, removed, and no trace of it stays. */
async function expectSound(at: Fixture): Promise<void> {
  const found = at.store.list();
  if (found.length > 0)
    expect(found.map(({ id, repoTags }) => [id, repoTags])).toEqual([[made.id, ["test.example/thing:1"]]]);
  expect((await at.store.verify()).damaged).toEqual([]);
  await using again = await openLayout(layout);
  expect((await at.store.pull({ source: again, reference })).id).toBe(made.id);
  expect((await at.store.verify()).damaged).toEqual([]);
  await using out = await at.store.source("test.example/thing:1");
  for (const layer of made.layers) expect((await bytesOf(out.blob(layer))).length).toBe(layer.size);
  await out[Symbol.asyncDispose]();
  await at.store.remove(made.id, unused);
  await at.store.prune({ dangling: true, usedBy: () => undefined });
  await at.store.idle();
  expect(leftovers(at)).toEqual([]);
}

test("kill -9 at each step of a pull", async () => {
  const whole = fs.mkdtempSync("/tmp/gantry-image-");
  const { out } = await pullInChild(whole, 0);
  const steps = Number(out);
  expect(steps).toBeGreaterThan(20);
  await using first = openFixture(whole);
  await expectSound(first);
  for (let last = 1; last <= steps; last += 1 + Math.floor(last / 12)) {
    const root = fs.mkdtempSync("/tmp/gantry-image-");
    expect((await pullInChild(root, last)).signal).toBe("SIGKILL");
    await using at = openFixture(root);
    // What it left apart from a download to go on with goes by itself.
    at.store.restoreLeases(new Map());
    await Bun.sleep(1);
    await at.store.idle();
    if (at.store.list().length === 0)
      expect(leftovers(at).filter((path) => !path.startsWith("ingest/download-"))).toEqual([]);
    await expectSound(at);
  }
}, 60_000);

test("a disk that is full at any time: a clear error, nothing is left", async () => {
  const disk = `${dir}/disk`;
  fs.mkdirSync(disk);
  const outcomes: string[] = [];
  for (const size of ["1m", "2500k", "3500k", "5m", "6m", "8m", "12m"]) {
    expect(
      Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "gantry-test-pull", disk]).exitCode,
    ).toBe(0);
    try {
      const opened = (() => {
        try {
          return openFixture(disk);
        } catch (error) {
          // Not even the records fit.
          expect(String(error)).toMatch(/no space left|SQLITE_FULL|database or disk is full/i);
          return undefined;
        }
      })();
      if (opened === undefined) continue;
      await using at = opened;
      const outcome = await failure(at.store.pull({ source, reference }));
      outcomes.push(outcome);
      if (outcome === "no error") continue;
      expect(outcome).toStartWith("exhausted: no space left on device");
      await at.store.prune({ dangling: true, usedBy: () => undefined });
      await at.store.idle();
      expect(at.store.list()).toEqual([]);
      expect(leftovers(at)).toEqual([]);
    } finally {
      Bun.spawnSync(["sh", "-c", `umount -R ${disk} 2>/dev/null || umount -l ${disk}`]);
    }
  }
  expect(outcomes.length).toBeGreaterThan(3);
  expect(outcomes.at(-1)).toBe("no error");
  expect(outcomes).toContainEqual(expect.stringMatching(/^exhausted/));
}, 60_000);
