/** An engine behind ssh: a real sshd on loopback, our client and docker's, contexts that name it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, type Result, TestEngine } from "../lib/engine.ts";
import { freePort } from "../lib/postgres.ts";

const engine = new TestEngine("remote");
const directory = join(engine.dir, "ssh");
const port = await freePort();
let sshd: Bun.Subprocess | undefined;

/** ssh takes its configuration from HOME's owner, not from HOME: ours is put before it in PATH. */
function prepare(): void {
  mkdirSync(join(directory, "bin"), { recursive: true, mode: 0o700 });
  mkdirSync("/run/sshd", { recursive: true });
  for (const key of ["host", "user"])
    Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(directory, key)]);
  const config = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(directory, "host")}`,
    `PidFile ${join(directory, "pid")}`,
    `AuthorizedKeysFile ${join(directory, "user.pub")}`,
    "PermitRootLogin prohibit-password",
    "StrictModes no",
    "UsePAM no",
    `SetEnv PATH=${join(directory, "there")}:/usr/local/bin:/usr/bin:/bin GANTRY_HOST=unix://${engine.socket} DOCKER_HOST=unix://${engine.socket}`,
  ];
  writeFileSync(join(directory, "sshd_config"), config.join("\n"));
  const options = `-F none -i ${join(directory, "user")} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`;
  writeFileSync(join(directory, "bin/ssh"), `#!/bin/sh\nexec /usr/bin/ssh ${options} "$@"\n`);
  chmodSync(join(directory, "bin/ssh"), 0o755);
  mkdirSync(join(directory, "there"));
  symlinkSync(binary, join(directory, "there/gantry"));
}

function run(words: readonly string[], env: Readonly<Record<string, string>> = {}, stdin = ""): Result {
  const done = Bun.spawnSync([...words], {
    stdin: Buffer.from(stdin),
    env: {
      PATH: `${join(directory, "bin")}:${process.env["PATH"] ?? ""}`,
      DOCKER_CONFIG: join(directory, "docker"),
      TMPDIR: engine.dir,
      ...env,
    },
    timeout: 60_000,
  });
  return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
}

beforeAll(async () => {
  prepare();
  await engine.start();
  const made = run([binary, "-H", `unix://${engine.socket}`, "image", "bootstrap", "-q", "busybox"]);
  if (made.code !== 0) throw new Error(made.err);
  sshd = Bun.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", join(directory, "sshd_config")], {
    stdio: ["ignore", "ignore", Bun.file(join(directory, "sshd.log"))],
  });
  const answers = (): boolean =>
    run([join(directory, "bin/ssh"), "-p", String(port), "127.0.0.1", "true"]).code === 0;
  for (const deadline = Date.now() + 10_000; !answers(); await Bun.sleep(50))
    if (Date.now() > deadline) throw new Error(`sshd: ${await Bun.file(join(directory, "sshd.log")).text()}`);
}, 60_000);

afterAll(async () => {
  sshd?.kill();
  await sshd?.exited;
  await engine.uninstall();
}, 60_000);

const url = (): string => `ssh://root@127.0.0.1:${port}`;

test("run, exec and a refusal through ssh, as at home", () => {
  expect(run([binary, "-H", url(), "run", "--rm", "-i", "busybox", "cat"], {}, "over ssh\n")).toEqual({
    code: 0,
    out: "over ssh\n",
    err: "",
  });
  expect(run([binary, "ps", "-q"], { DOCKER_HOST: url() })).toEqual({ code: 0, out: "", err: "" });
  const refused = run([binary, "-H", url(), "logs", "nosuch"]);
  expect([refused.code, refused.err.split("\n")[0]]).toEqual([1, "gantry: No such container: nosuch"]);
});

test("a context made here is used by both clients", () => {
  const made = run([
    binary,
    "context",
    "create",
    "there",
    "--docker",
    `host=${url()}`,
    "--description",
    "far away",
  ]);
  expect(made).toEqual({ code: 0, out: "there\n", err: 'Successfully created context "there"\n' });
  expect(run([binary, "context", "use", "there"]).code).toBe(0);
  expect(
    run(["docker", "context", "ls", "--format", "{{.Name}} {{.Current}} {{.DockerEndpoint}}"]).out,
  ).toContain(`there true ${url()}\n`);
  expect(run(["docker", "run", "--rm", "busybox", "echo", "docker over ssh"]).out).toBe("docker over ssh\n");
  expect(run([binary, "run", "--rm", "busybox", "echo", "context over ssh"]).out).toBe("context over ssh\n");
  expect(run([binary, "--context", "nosuch", "ps"]).err).toStartWith('context "nosuch": context not found');
  expect(run([binary, "context", "rm", "-f", "there"]).out).toBe("there\n");
  expect(run([binary, "context", "show"]).out).toBe("default\n");
});

test("what ssh complains of is told, and no socket of a tunnel stays", async () => {
  const closed = await freePort();
  const failed = run([binary, "-H", `ssh://root@127.0.0.1:${closed}`, "ps"]);
  expect(failed.code).toBe(1);
  expect(failed.err).toContain(
    `cannot connect to the engine at ssh://root@127.0.0.1:${closed}: ssh: connect to host`,
  );
  expect(readdirSync(engine.dir).filter((name) => name.startsWith("gantry-ssh-"))).toEqual([]);
});
