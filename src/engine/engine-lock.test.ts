import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSys } from "../kernel/index.ts";
import { EngineLock } from "./engine-lock.ts";
import { enginePaths } from "./paths.ts";

const sys = loadSys();
let dir = "";
let holder: Bun.Subprocess | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gantry-lock-"));
});
afterEach(async () => {
  holder?.kill();
  await holder?.exited;
  rmSync(dir, { recursive: true });
});

/** Another process that has the lock for a time and whose lock file names `pid`. */
async function hold(pid: number, seconds: number): Promise<void> {
  const { lock } = enginePaths(dir, dir);
  const taken = join(dir, "taken");
  writeFileSync(lock, `${pid}\n`);
  holder = Bun.spawn(["flock", "-F", lock, "sh", "-c", `: >${taken}; exec sleep ${seconds}`]);
  while (!existsSync(taken)) await Bun.sleep(2);
}

const take = (): Promise<EngineLock> => EngineLock.take(enginePaths(dir, join(dir, "state")), sys);

test("one engine a directory", async () => {
  await hold(process.pid, 60);
  await expect(take()).rejects.toMatchObject({ code: "conflict" });
});

test("what a killed engine's last child still holds is waited for", async () => {
  const dead = Bun.spawn(["true"]);
  await dead.exited;
  await hold(dead.pid, 0.2);
  (await take()).release();
});
