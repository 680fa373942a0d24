/** 200 times kill -9 at a random moment under a loop of create, start, exec and remove; then everything is whole or gone. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { difference, machineState } from "../lib/leftovers.ts";
import { TestEngine } from "../lib/engine.ts";

const rounds = Number(process.env["GANTRY_KILL_ROUNDS"] ?? 200);
const engine = new TestEngine("random");
let idle: ReadonlySet<string> = new Set();

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
  engine.ok("run", "--rm", "busybox", "true");
  idle = machineState();
}, 120_000);
afterAll(() => engine.uninstall(), 120_000);

/** Works until it is told to stop; clients fail when the engine dies, which is the point. */
async function load(worker: number, going: () => boolean): Promise<void> {
  for (let n = 0; going(); n++) {
    const name = `w${worker}-${n}-${Date.now()}`;
    await engine.spawn("create", "--name", name, "-p", `${19_000 + worker}:80`, "busybox", "sleep", "100")
      .exited;
    await engine.spawn("start", name).exited;
    await engine.spawn("exec", name, "true").exited;
    await engine.spawn("rm", "-f", name).exited;
    await engine.spawn("run", "--rm", "busybox", "true").exited;
  }
}

test(
  `${rounds} rounds leave nothing half-made`,
  async () => {
    for (let round = 0; round < rounds; round++) {
      let going = true;
      const workers = [0, 1].map((worker) => load(worker, () => going));
      await Bun.sleep(20 + Math.random() * 180);
      going = false;
      await engine.kill();
      await Promise.all(workers);
      await engine.start();
    }
    const states = engine.ok("ps", "-a", "--format", "{{.Names}} {{.State}}").split("\n").filter(Boolean);
    for (const line of states) expect(line).toMatch(/ (created|running|exited)$/);
    const running = states.filter((line) => line.endsWith(" running"));
    for (const line of running) expect(engine.run(["exec", line.split(" ")[0] ?? "", "true"]).code).toBe(0);
    const left = engine.ok("ps", "-aq").split("\n").filter(Boolean);
    if (left.length > 0) engine.ok("rm", "-f", ...left);
    expect((await difference(idle)).filter((line) => !line.startsWith(`process ${engine.pid} `))).toEqual([]);
    const containers = join(engine.dir, "lib/containers");
    expect(existsSync(containers) ? readdirSync(containers) : []).toEqual([]);
    expect(readdirSync(join(engine.dir, "run/m"))).toEqual([]);
    const elements = Bun.spawnSync(["nft", "list", "ruleset"]).stdout.toString();
    expect(elements).not.toMatch(/1900[01]/);
    expect(engine.ok("run", "--rm", "-p", "19000:80", "busybox", "echo", "works")).toBe("works");
  },
  rounds * 3000 + 60_000,
);
