/** `system df` of a real engine says of images exactly what the disk holds; prune gives it back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestEngine } from "../lib/engine.ts";

const engine = new TestEngine("df");

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
}, 120_000);
afterAll(() => engine.uninstall(), 120_000);

interface Usage {
  readonly LayersSize: number;
  readonly Images: readonly {
    readonly Id: string;
    readonly Size: number;
    readonly SharedSize: number;
    readonly Containers: number;
  }[];
}

async function usage(): Promise<Usage> {
  const answer = await fetch("http://localhost/v1.41/system/df?type=image", { unix: engine.socket });
  return (await answer.json()) as Usage;
}

function du(): number {
  const dirs = ["layers", "blobs", "ingest", "scratch", "lowers"];
  const done = Bun.spawnSync(["du", "-xscB1", ...dirs], { cwd: `${engine.dir}/lib` });
  return Number(/^(\d+)\ttotal$/m.exec(done.stdout.toString())?.[1]);
}

test("sizes add up to du's, shared parts once", async () => {
  const built = engine.run(["build", "-q", "-t", "one", "-"], {
    stdin: "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1k count=300\n",
  });
  expect(built.err).toBe("");
  engine.ok("create", "--name", "user", "one");
  const { LayersSize, Images } = await usage();
  expect(LayersSize).toBe(du());
  expect(Images).toHaveLength(2);
  const [base = 0, one = 0] = Images.map(({ Size }) => Size).sort((a, b) => a - b);
  expect(one - base).toBeGreaterThanOrEqual(300 << 10);
  for (const { SharedSize } of Images) expect(SharedSize).toBe(base);
  expect(Images.map(({ Containers }) => Containers).sort()).toEqual([0, 1]);
  expect(engine.ok("system", "df", "-v")).toContain("one");
  engine.ok("rm", "user");
  engine.ok("image", "prune", "-a", "-f");
  await Bun.sleep(200);
  const after = await usage();
  expect(after.Images).toEqual([]);
  expect(after.LayersSize).toBe(du());
  expect(after.LayersSize).toBeLessThan(64 << 10);
}, 60_000);
