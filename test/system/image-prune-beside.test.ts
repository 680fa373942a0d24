/** Builds, pulls and loads in loops beside prune loops: nothing fails that should not, and in the end nothing is left. Root. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestDockerRegistry } from "../lib/docker-registry.ts";
import { type Result, TestEngine } from "../lib/engine.ts";

setDefaultTimeout(60_000);

const engine = new TestEngine("prune-beside");
const dir = mkdtempSync("/tmp/gantry-prune-beside-");
let registry: TestDockerRegistry;
let remote = "";

beforeAll(async () => {
  registry = await TestDockerRegistry.start();
  remote = `127.0.0.1:${registry.port}/base:1`;
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
  engine.ok("tag", "busybox", remote);
  engine.ok("push", "-q", remote);
  engine.run(["build", "-q", "-t", "saved:1", "-"], {
    stdin: "FROM busybox\nRUN head -c 100000 /dev/urandom >/a\nRUN head -c 100000 /dev/urandom >/b\n",
  });
  engine.ok("save", "-o", `${dir}/saved.tar`, "saved:1");
}, 120_000);

afterAll(async () => {
  await engine.uninstall();
  await registry[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
}, 120_000);

async function run(...words: readonly string[]): Promise<Result> {
  const child = engine.spawn(...words);
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

const durationMs = 5000;

/** Does it again and again; every command must succeed, or fail as `may` says. @returns how often it did */
async function loop(commands: (i: number) => readonly (readonly string[])[], may?: RegExp): Promise<number> {
  const end = performance.now() + durationMs;
  let good = 0;
  for (let i = 0; performance.now() < end; i++) {
    for (const words of commands(i)) {
      const { code, out, err } = await run(...words);
      if (code === 0) good++;
      else if (may?.test(err) !== true)
        throw new Error(`round ${i}: gantry ${words.join(" ")}: ${code} ${err}${out}`);
    }
  }
  return good;
}

function context(name: string, dockerfile: string): string {
  const path = join(dir, name);
  mkdirSync(path);
  writeFileSync(join(path, "Dockerfile"), dockerfile);
  return path;
}

/** What is in the directories of images and builds. */
const left = (): readonly string[] =>
  ["layers", "ingest", "blobs/sha256", "build/active", "build/steps"].flatMap((name) =>
    readdirSync(join(engine.dir, "lib", name)).map((entry) => `${name}/${entry}`),
  );

test("builds, pulls, loads and runs beside prune and the collector", async () => {
  const steps = "ARG ROUND\nRUN echo $ROUND >/r\nRUN head -c 50000 /dev/urandom >/x\nRUN rm /x\n";
  const [one, two] = [context("one", `FROM ${remote}\n${steps}`), context("two", `FROM ${remote}\n${steps}`)];
  const rounds = await Promise.all([
    // One of them names what it makes, the other leaves it dangling.
    loop((i) => [["build", "-q", "--build-arg", `ROUND=${i}`, "-t", "made:1", one]]),
    loop((i) => [["build", "-q", "--no-cache", "--build-arg", `ROUND=${i}`, two]]),
    loop(() => [["pull", "-q", remote]]),
    loop(() => [["load", "-q", "-i", `${dir}/saved.tar`]]),
    // Between its pull and its container anybody may remove the image.
    loop(() => [["run", "--rm", "-q", "--pull", "always", remote, "cat", "/etc/passwd"]], /No such image: /),
    loop(() => [["image", "prune", "-af"]]),
    loop(() => [
      ["image", "prune", "-f"],
      ["system", "df"],
    ]),
  ]);
  for (const count of rounds) expect(count).toBeGreaterThan(1);
  expect((await run("image", "verify", "-q")).out).toBe("");
  expect(engine.ok("ps", "-aq")).toBe("");
  engine.ok("image", "prune", "-af");
  expect(engine.ok("images", "-aq")).toBe("");
  // Files are deleted behind the answer.
  for (const deadline = Date.now() + 5000; left().length > 0 && Date.now() < deadline;) await Bun.sleep(20);
  expect(left()).toEqual([]);
});

test("the same engine goes on", () => {
  expect(engine.ok("run", "--rm", "-q", remote, "echo", "well")).toBe("well");
});
