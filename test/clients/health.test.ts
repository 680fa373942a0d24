/** Health checks as docker's client sees them, and what Gantry adds: unhealthy containers that are started again. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestEngine } from "../lib/engine.ts";

const engine = new TestEngine("health");

interface Health {
  readonly Status: string;
  readonly FailingStreak: number;
  readonly Log: readonly { readonly ExitCode: number; readonly Output: string }[];
}

function docker(...words: readonly string[]): {
  readonly code: number;
  readonly out: string;
  readonly err: string;
} {
  const done = Bun.spawnSync(["docker", "-H", `unix://${engine.socket}`, ...words], {
    stdin: "ignore",
    timeout: 60_000,
  });
  return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
}

const healthOf = (name: string): Health | null =>
  JSON.parse(docker("inspect", "-f", "{{json .State.Health}}", name).out || "null") as Health | null;

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds(); await Bun.sleep(50))
    if (Date.now() > deadline) throw new Error(`${what} did not come to be`);
}

const often = ["--health-interval", "100ms", "--health-timeout", "2s", "--health-retries", "2"];

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
}, 60_000);

afterAll(() => engine.uninstall(), 60_000);

test("starting, healthy, unhealthy, healthy again; told by inspect, ps, filters and events; survives the engine", async () => {
  const since = new Date().toISOString();
  const check = "cat /ok; test -e /ok";
  expect(
    docker("run", "-d", "--name", "sick", ...often, "--health-cmd", check, "busybox", "sleep", "1000").code,
  ).toBe(0);
  expect(docker("ps", "--format", "{{.Status}}").out).toMatch(/\((health: starting|unhealthy)\)/);
  await until("unhealthy", () => healthOf("sick")?.Status === "unhealthy");
  const health = healthOf("sick");
  expect(health?.FailingStreak).toBeGreaterThanOrEqual(2);
  expect(health?.Log.at(-1)).toMatchObject({
    ExitCode: 1,
    Output: "cat: can't open '/ok': No such file or directory\n",
  });
  expect(docker("ps", "-q", "--filter", "health=unhealthy").out).not.toBe("");
  expect(docker("ps", "-q", "--filter", "health=healthy").out).toBe("");
  docker("exec", "sick", "sh", "-c", "echo fine > /ok");
  await until("healthy", () => healthOf("sick")?.Status === "healthy");
  expect(docker("ps", "--format", "{{.Status}}").out).toMatch(/^Up .*\(healthy\)\n$/);
  const told = docker(
    "events",
    "--since",
    since,
    "--until",
    new Date().toISOString(),
    "--filter",
    "event=health_status",
    "--format",
    "{{.Action}}",
  );
  expect(told.out).toBe("health_status: unhealthy\nhealth_status: healthy\n");

  await engine.kill();
  await engine.start();
  expect(healthOf("sick")?.Status).toBe("healthy");
  docker("exec", "sick", "rm", "/ok");
  await until("unhealthy under the next engine", () => healthOf("sick")?.Status === "unhealthy");
  docker("pause", "sick");
  await Bun.sleep(150);
  const frozen = healthOf("sick")?.Log;
  await Bun.sleep(300);
  expect(healthOf("sick")?.Log).toEqual(frozen ?? []);
  docker("unpause", "sick");
  docker("stop", "-t", "0", "sick");
  expect(healthOf("sick")?.Status).toBe("unhealthy");
  expect(docker("rm", "sick").code).toBe(0);
}, 40_000);

test("a probe that takes too long is killed, one that cannot be run has failed", async () => {
  docker(
    "run",
    "-d",
    "--name",
    "slow",
    ...often,
    "--health-timeout",
    "200ms",
    "--health-cmd",
    "echo begun; exec sleep 55.5",
    "busybox",
    "sleep",
    "1000",
  );
  await until("unhealthy", () => healthOf("slow")?.Status === "unhealthy");
  expect(healthOf("slow")?.Log.at(-1)).toMatchObject({
    ExitCode: -1,
    Output: "Health check exceeded timeout (0.2s): begun\n",
  });
  await until("the probes are few", () => docker("top", "slow").out.split("sleep 55.5").length <= 2);
  expect(docker("rm", "-f", "slow").code).toBe(0);
  const engineFetch = await fetch("http://x/containers/create?name=nocmd", {
    method: "POST",
    unix: engine.socket,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      Image: "busybox",
      Cmd: ["sleep", "1000"],
      Healthcheck: { Test: ["CMD", "/nosuch"], Interval: 1e8, Retries: 1 },
    }),
  });
  expect(engineFetch.status).toBe(201);
  docker("start", "nocmd");
  await until("unhealthy", () => healthOf("nocmd")?.Status === "unhealthy");
  expect(docker("rm", "-f", "nocmd").code).toBe(0);
}, 30_000);

test("the image's check is the container's unless it says otherwise", async () => {
  const dockerfile =
    'FROM busybox\nHEALTHCHECK --interval=100ms --retries=1 CMD true\nCMD ["sleep", "1000"]\n';
  const built = Bun.spawnSync(
    ["docker", "-H", `unix://${engine.socket}`, "build", "-q", "-t", "checked", "-"],
    {
      stdin: Buffer.from(dockerfile),
      env: { ...process.env, DOCKER_BUILDKIT: "0" },
    },
  );
  expect(built.exitCode).toBe(0);
  docker("run", "-d", "--name", "from-image", "checked");
  docker("run", "-d", "--name", "without", "--no-healthcheck", "checked");
  await until("healthy", () => healthOf("from-image")?.Status === "healthy");
  expect(healthOf("without")).toBeNull();
  expect(docker("ps", "--filter", "health=none", "--format", "{{.Names}}").out).toBe("without\n");
  docker("rm", "-f", "from-image", "without");
}, 30_000);

test("with the label an unhealthy container is started again, and stays stopped when its user stops it", async () => {
  const made = engine.ok(
    ..."run -d --name reborn --label gantry.restart-unhealthy=true --stop-timeout 0".split(" "),
    ...often,
    "--health-cmd",
    "test ! -e /tmp/sick",
    "--tmpfs",
    "/tmp",
    "busybox",
    "sleep",
    "1000",
  );
  expect(made).not.toBe("");
  await until("healthy", () => healthOf("reborn")?.Status === "healthy");
  const pid = docker("inspect", "-f", "{{.State.Pid}}", "reborn").out;
  docker("exec", "reborn", "touch", "/tmp/sick");
  await until("started again", () => {
    const now = docker("inspect", "-f", "{{.State.Running}} {{.RestartCount}} {{.State.Pid}}", "reborn").out;
    return now.startsWith("true 1 ") && now !== `true 1 ${pid}`;
  });
  await until("healthy again", () => healthOf("reborn")?.Status === "healthy");
  docker("stop", "-t", "0", "reborn");
  await Bun.sleep(400);
  expect(docker("inspect", "-f", "{{.State.Status}}", "reborn").out).toBe("exited\n");
  docker("rm", "reborn");
}, 30_000);

test.each([
  [["--health-cmd", "true", "--health-interval", "10us"], "Interval in Healthcheck cannot be less than 1ms"],
  [["--health-cmd", "true", "--no-healthcheck"], "--no-healthcheck conflicts with --health-* options"],
] as const)("refused: %p", (flags, message) => {
  const refused = docker("create", ...flags, "busybox", "true");
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain(message);
});
