/** A container whose image was removed by force goes on living: its lease keeps the layers until it goes itself. Root. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { TestEngine } from "../lib/engine.ts";

setDefaultTimeout(60_000);

const engine = new TestEngine("forced-removal");
let id = "";

const layerCount = (): number => readdirSync(join(engine.dir, "lib/layers")).length;

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds(); await Bun.sleep(20))
    if (Date.now() > deadline) throw new Error(`${what} did not happen`);
}

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
  engine.run(["build", "-q", "-t", "app", "-"], {
    stdin: "FROM busybox\nRUN echo of the image >/note && mkdir /data && echo filled >/data/f\nUSER 7:8\n",
  });
  id = engine.ok("create", "--name", "kept", "-v", "/data", "app", "sleep", "1000");
}, 120_000);

afterAll(() => engine.uninstall(), 120_000);

test("rmi is refused, with --force the image goes and the container stays", () => {
  const refused = engine.run(["rmi", "app"]);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("(must force) - container")]);
  const shown = engine.ok("image", "inspect", "-f", "{{.Id}}", "app");
  expect(engine.ok("rmi", "-f", "app")).toContain(`Deleted: ${shown}`);
  engine.ok("rmi", "busybox");
  engine.ok("image", "prune", "-af");
  expect(engine.ok("images", "-q")).toBe("");
  expect(engine.ok("ps", "-a", "--format", "{{.Names}}")).toBe("kept");
  expect(engine.ok("inspect", "-f", "{{.Image}}", "kept")).toBe(shown);
  // As docker has it: the name means nothing any more.
  expect(engine.ok("ps", "-a", "--format", "{{.Image}}")).toBe(shown.slice("sha256:".length, 19));
});

test("it starts, its volume is filled, exec finds its user, explain knows its layers", () => {
  engine.ok("start", "kept");
  expect(engine.ok("exec", "kept", "cat", "/note", "/data/f")).toBe("of the image\nfilled");
  expect(engine.ok("exec", "kept", "id", "-u")).toBe("7");
  expect(engine.ok("exec", "-u", "root", "kept", "whoami")).toBe("root");
  expect(engine.ok("explain", "kept")).toContain("Mount 2 layers");
});

test("after the engine was killed it runs on, and starts again when it has ended", async () => {
  await engine.kill();
  await engine.start();
  engine.ok("image", "prune", "-af");
  expect(engine.ok("exec", "kept", "cat", "/note")).toBe("of the image");
  engine.ok("stop", "-t", "0", "kept");
  await engine.stop();
  await engine.start();
  engine.ok("image", "prune", "-af");
  engine.ok("start", "kept");
  expect(engine.ok("exec", "kept", "cat", "/note")).toBe("of the image");
});

test("its layers go with it", async () => {
  expect(layerCount()).toBeGreaterThan(0);
  expect(engine.ok("rm", "-f", "-v", id)).toBe(id);
  await until(() => layerCount() === 0, "the end of its layers");
});
