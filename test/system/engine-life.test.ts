/** The engine's life: settings, reload, TLS, sockets and words of systemd, upgrade under load, shutdown. On the compiled binary. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { binary, TestEngine } from "../lib/engine.ts";
import { freePort } from "../lib/postgres.ts";
import { TestAuthority, type TestPair } from "../lib/test-certificates.ts";

setDefaultTimeout(60_000);

const engine = new TestEngine("life");
const config = join(engine.dir, "config.yaml");
const program = join(engine.dir, "gantry");
const port = await freePort();
const published = await freePort();
const notified = join(engine.dir, "notify");
let authority: TestAuthority;
let server: TestPair;
let child: Bun.Subprocess | undefined;

const log = (): string => readFileSync(join(engine.dir, "engine.log"), "utf8");
async function until(holds: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds(); await Bun.sleep(10))
    if (Date.now() > deadline) throw new Error(`${what} did not happen: ${log().slice(-1500)}`);
}

/** Binds the API's socket and a manager's as systemd does, then becomes the engine. */
const manager = `
import os, socket, sys, threading
api, notify, out = sys.argv[1:4]
os.makedirs(os.path.dirname(api), exist_ok=True)
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); manager.bind(notify)
s = socket.socket(socket.AF_UNIX); s.bind(api); s.listen(50)
if os.fork() == 0:
    s.close()
    with open(out, "w") as f:
        while True:
            text = manager.recv(4096).decode(); f.write(text + "\\n"); f.flush()
            if "STOPPING" in text: os._exit(0)
if s.fileno() != 3: os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="gantry.socket", NOTIFY_SOCKET=notify)
os.execv(sys.argv[4], sys.argv[4:])
`;

async function start(words: readonly string[]): Promise<void> {
  child = Bun.spawn([...words, "engine", ...engine.places, "--config", config, "--tlsverify"], {
    cwd: "/",
    stdio: ["ignore", "ignore", Bun.file(join(engine.dir, "engine.log"))],
  });
  await until(() => log().includes("engine.ready"), "start");
}

beforeAll(async () => {
  authority = await TestAuthority.create(engine.dir);
  server = await authority.sign("server");
  copyFileSync(binary, program);
  writeFileSync(
    config,
    `{"hosts": ["fd://", "tcp://127.0.0.1:${port}"], "tlscacert": "${authority.file}", "tlscert": "${server.certFile}", "tlskey": "${server.keyFile}", "labels": ["a=1"], "default-ulimits": {"nofile": {"Soft": 77, "Hard": 88}}}`,
  );
  await start(["python3", "-c", manager, engine.socket, `${engine.dir}/n.sock`, notified, program]);
  engine.ok("image", "bootstrap", "busybox");
}, 60_000);

afterAll(async () => {
  child?.kill();
  await child?.exited;
  await engine.uninstall();
}, 60_000);

test("defaults of the file hold, a reload changes them, a bad file changes nothing, certificates are read again", async () => {
  expect(engine.ok("run", "--rm", "busybox", "sh", "-c", "ulimit -n")).toBe("77");
  const text = readFileSync(config, "utf8");
  writeFileSync(config, text.replace("a=1", "a=2").replace("77", "66"));
  copyFileSync((await authority.sign("other")).certFile, join(engine.dir, "x.pem"));
  process.kill(child?.pid ?? 0, "SIGHUP");
  await until(() => log().includes("config.reloaded"), "reload");
  expect(engine.ok("run", "--rm", "busybox", "sh", "-c", "ulimit -n")).toBe("66");
  expect(engine.ok("info", "--format", "{{json .Labels}}")).toBe('["a=2"]');
  writeFileSync(config, text.replace('"labels"', '"lables"'));
  process.kill(child?.pid ?? 0, "SIGHUP");
  await until(() => log().includes("config.refused"), "refusal");
  expect(log()).toContain('there is no setting \\"lables\\"');
  expect(engine.ok("info", "--format", "{{json .Labels}}")).toBe('["a=2"]');
  writeFileSync(config, text);
  await until(() => readFileSync(notified, "utf8").split("READY=1").length === 4, "READY after each");
  expect(readFileSync(notified, "utf8")).toContain("RELOADING=1");
});

test.skipIf(Bun.which("docker") === null)(
  "the docker command over TLS: streams with half-close, and strangers stay outside",
  async () => {
    const client = await authority.sign("client");
    const docker = (
      pair: TestPair,
      words: readonly string[],
      stdin = "",
    ): Bun.SyncSubprocess<"pipe", "pipe"> =>
      Bun.spawnSync(
        ["docker", "-H", `tcp://127.0.0.1:${port}`, "--tlsverify", "--tlscacert", authority.file].concat(
          ["--tlscert", pair.certFile, "--tlskey", pair.keyFile],
          words,
        ),
        {
          stdin: Buffer.from(stdin),
          stdout: "pipe",
          stderr: "pipe",
          env: { PATH: process.env["PATH"] ?? "", DOCKER_CONFIG: engine.dir },
        },
      );
    const text = "0123456789abcde\n".repeat(1 << 15);
    const done = docker(client, ["run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo end"], text);
    expect(done.stdout.toString() === `${text}end\n`).toBe(true);
    const selfSigned = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-subj",
      "/CN=evil",
    ];
    const [certFile, keyFile] = [join(engine.dir, "evil.pem"), join(engine.dir, "evil.key")];
    Bun.spawnSync(["openssl", ...selfSigned, "-keyout", keyFile, "-out", certFile], { stderr: "ignore" });
    const stranger = docker({ ...client, certFile, keyFile }, ["ps"]);
    expect(stranger.exitCode).toBe(1);
    expect(stranger.stdout.toString()).toBe("");
  },
);

test("an upgrade under load: no line, connection, exec or client is lost", async () => {
  const serve =
    "while :; do nc -l -p 80 -e cat; done & i=0; while :; do echo $i; i=$((i+1)); sleep 0.005; done";
  engine.ok(
    "run",
    "-d",
    "--name",
    "load",
    "--restart",
    "always",
    "-p",
    `127.0.0.1:${published}:80`,
    "busybox",
    "sh",
    "-c",
    serve,
  );
  engine.ok("exec", "-d", "load", "sh", "-c", "sleep 1; echo done > /tmp/exec");
  const socket = connect(published, "127.0.0.1");
  let echoed = "";
  socket.on("data", (bytes: Buffer) => void (echoed += bytes.toString()));
  socket.write("before ");
  await until(() => echoed === "before ", "echo");
  let asking = true;
  const refused: string[] = [];
  const asker = (async () => {
    for (; asking; await Bun.sleep(2))
      await fetch("http://x/_ping", { unix: engine.socket, keepalive: false }).catch(
        (error: unknown) => void refused.push(String(error)),
      );
  })();
  copyFileSync(binary, `${program}.2`);
  const inode = statSync(program).ino;
  const upgraded = engine.ok("system", "upgrade", "--from", `${program}.2`);
  await until(() => log().split("engine.ready").length === 3, "the next engine");
  asking = false;
  await asker;
  expect(upgraded).toContain(`(pid ${child?.pid ?? 0}) runs ${program}`);
  expect(statSync(program).ino).not.toBe(inode);
  // Those whose answer was under way are cut; nobody finds a closed door.
  expect(refused.filter((message) => /refused|ENOENT|Unable to connect/i.test(message))).toEqual([]);
  socket.write("after");
  await until(() => echoed === "before after", "echo after the upgrade");
  socket.destroy();
  await until(() => engine.run(["exec", "load", "cat", "/tmp/exec"]).out === "done\n", "the exec's end");
  const before = engine.ok("inspect", "-f", "{{.State.StartedAt}}", "load");
  engine.run(["exec", "load", "kill", "-9", "-1"]);
  process.kill(Number(engine.ok("inspect", "-f", "{{.State.Pid}}", "load")), "SIGKILL");
  await until(
    () => engine.ok("inspect", "-f", "{{.State.StartedAt}} {{.State.Running}}", "load") !== `${before} true`,
    "restart",
  );
  const numbers = engine.ok("logs", "load").split("\n").map(Number);
  const lost = numbers
    .slice(1)
    .filter((number, index) => number !== 0 && number !== (numbers[index] ?? 0) + 1);
  expect(lost).toEqual([]);
  expect(engine.run(["system", "upgrade", "--from", "/bin/false"]).err).toContain(
    "/bin/false cannot take over",
  );
});

test("shutdown stops containers by their signals; the next engine starts them again", async () => {
  const trap = 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.1; done';
  engine.ok("rm", "-f", "load");
  engine.ok("run", "-d", "--name", "kept", "--restart", "unless-stopped", "busybox", "sh", "-c", trap);
  await until(() => engine.ok("logs", "kept") === "up", "up");
  expect(engine.ok("system", "shutdown")).toContain("Stopped 1 containers and the engine");
  expect(await child?.exited).toBe(0);
  expect(readFileSync(notified, "utf8")).toContain("STOPPING=1");
  child = undefined;
  await engine.start();
  await until(() => engine.ok("logs", "kept") === "up\nbye\nup", "its next start");
  engine.ok("rm", "-f", "kept");
});

test("units, validation and doctor", () => {
  const unit = (kind: string): void =>
    writeFileSync(
      join(engine.dir, `gantry.${kind}`),
      engine.ok("system", "unit", "--program", "/bin/true", "--group", "root", kind),
    );
  unit("service");
  unit("socket");
  const files = ["service", "socket"].map((kind) => join(engine.dir, `gantry.${kind}`));
  if (Bun.which("systemd-analyze") !== null) {
    const verified = Bun.spawnSync(["systemd-analyze", "verify", ...files], { stderr: "pipe" });
    expect([verified.exitCode, verified.stderr.toString()]).toEqual([0, ""]);
  }
  const judge = (...words: readonly string[]): readonly [number, string] => {
    const done = Bun.spawnSync([binary, "engine", "--validate", ...words], { stderr: "pipe" });
    return [done.exitCode, done.stderr.toString().split("\n")[0] ?? ""];
  };
  expect(judge("--config", config)).toEqual([0, "configuration OK"]);
  expect(judge("--config", config, "--label=x")[1]).toStartWith(
    "gantry: the following directives are specified both",
  );
  expect(judge("--group", "nobody-here")).toEqual([1, "gantry: group nobody-here not found"]);
  const findings = JSON.parse(engine.run(["system", "doctor", "--format", "json"]).out) as {
    level: string;
    area: string;
  }[];
  expect(new Set(findings.map(({ area }) => area))).toEqual(
    new Set(["kernel", "cgroups", "limits", "network", "firewall", "disk", "clock", "dns", "engine"]),
  );
  expect(findings.at(-1)).toMatchObject({ level: "OK", area: "engine" });
});
