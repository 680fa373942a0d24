/** The engine is killed while containers run: they go on, the next engine knows all of them, and no line of output is lost. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestEngine } from "../lib/engine.ts";

const engine = new TestEngine("killed");
beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
}, 120_000);
afterAll(() => engine.uninstall(), 120_000);

const counting = "i=0; while [ $i -lt $0 ]; do i=$((i+1)); echo line $i; usleep 10000; done; exit $1";

interface Inspected {
  readonly Name: string;
  readonly State: { readonly Running: boolean; readonly ExitCode: number; readonly Pid: number };
}

function inspect(names: readonly string[]): Inspected[] {
  return JSON.parse(engine.ok("inspect", ...names)) as Inspected[];
}

test("kill -9 with 50 containers, 20 of them printing: all go on, every line once, exit codes known", async () => {
  const sleepers = Array.from({ length: 24 }, (_, i) => `sleeper-${i}`);
  const printers = Array.from({ length: 20 }, (_, i) => `printer-${i}`);
  const enders = Array.from({ length: 6 }, (_, i) => `ender-${i}`);
  for (const name of sleepers) engine.ok("run", "-d", "--name", name, "busybox", "sleep", "1000");
  for (const name of printers)
    engine.ok("run", "-d", "--name", name, "busybox", "sh", "-c", counting, "100000", "0");
  for (const [i, name] of enders.entries()) {
    engine.ok("run", "-d", "--name", name, "busybox", "sh", "-c", counting, "150", String(40 + i));
  }
  const pids = new Map(inspect([...sleepers, ...printers]).map((one) => [one.Name, one.State.Pid]));
  await engine.kill();
  await Bun.sleep(3000);
  await engine.start();
  expect(engine.ok("ps", "-q").split("\n")).toHaveLength(44);
  for (const one of inspect([...sleepers, ...printers])) {
    expect(one.State.Running, one.Name).toBe(true);
    expect(one.State.Pid).toBe(pids.get(one.Name) ?? 0);
  }
  for (const [i, one] of inspect(enders).entries())
    expect(one.State).toMatchObject({ Running: false, ExitCode: 40 + i });
  for (const name of printers) engine.ok("kill", name);
  engine.ok("wait", ...printers);
  for (const name of [...printers, ...enders]) {
    const lines = engine.ok("logs", name).split("\n");
    expect(lines.length, name).toBeGreaterThanOrEqual(150);
    for (const [i, line] of lines.entries()) expect(line).toBe(`line ${i + 1}`);
  }
  expect(engine.run(["exec", "sleeper-0", "sh", "-c", "exit 9"]).code).toBe(9);
  engine.ok("rm", "-f", ...sleepers, ...printers, ...enders);
}, 120_000);

test("published ports, names and logs -f outlive the engine", async () => {
  engine.ok(
    "run",
    "-d",
    "--name",
    "web",
    "-p",
    "18099:80",
    "busybox",
    "sh",
    "-c",
    "echo hello > /index.html; exec httpd -f -p 80 -h /",
  );
  await engine.kill();
  const page = await fetch("http://127.0.0.1:18099/index.html");
  expect(await page.text()).toBe("hello\n");
  await engine.start();
  expect(engine.ok("port", "web")).toContain("18099");
  expect(engine.ok("run", "--rm", "busybox", "wget", "-qO-", "http://web/index.html")).toBe("hello");
  engine.ok("rm", "-f", "web");
}, 60_000);

test("a restart policy is honoured for what ended while no engine ran", async () => {
  engine.ok(
    "run",
    "-d",
    "--restart",
    "always",
    "--name",
    "phoenix",
    "busybox",
    "sh",
    "-c",
    "sleep 1; exit 3",
  );
  await engine.kill();
  await Bun.sleep(1500);
  await engine.start();
  await Bun.sleep(500);
  const [one] = JSON.parse(engine.ok("inspect", "phoenix")) as {
    RestartCount: number;
    State: { Status: string };
  }[];
  expect(["running", "restarting"]).toContain(one?.State.Status ?? "");
  engine.ok("rm", "-f", "phoenix");
}, 60_000);
