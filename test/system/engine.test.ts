/** The engine as a library on the real kernel: life of containers, what survives it, what is left behind. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine } from "../../src/engine/index.ts";
import { createLogger, tarHeader, tarPadding, tarTrailer } from "../../src/lib/index.ts";
import { allStreams, listen, outputStreams, request, runOnce, until, World } from "./engine-world.ts";

const world = new World();
beforeAll(async () => void (await world.open()), 60_000);
afterAll(() => world.destroy(), 60_000);

const noExec = {
  env: [],
  user: "",
  workingDir: "",
  tty: false,
  privileged: false,
  attachStdin: false,
  attachStdout: true,
  attachStderr: true,
  detachKeys: "",
};

/** Runs a command in a container to its end. */
async function exec(container: string, cmd: readonly string[], change: Partial<typeof noExec> = {}) {
  const { execs } = world.engine;
  const { id } = execs.create(container, { ...noExec, ...change, cmd });
  const { session } = await execs.start(id, { attach: outputStreams, rows: 0, cols: 0 });
  const said = await listen(session);
  return { ...said, code: (await execs.exited(id)).exitCode };
}

async function started(
  cmd: readonly string[],
  ...more: [host?: object, config?: object, name?: string]
): Promise<string> {
  const { id } = await world.engine.containers.create(request(cmd, ...more));
  await world.engine.containers.start(id);
  return id;
}

const state = (id: string) => world.engine.containers.view(id).state;

/** False for a zombie that nobody takes too. */
function lives(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

describe("run", () => {
  test("output, error output and exit code, from the first byte", async () => {
    expect(
      await runOnce(world.engine, ["sh", "-c", "echo out; echo err >&2; exit 7"], { AutoRemove: true }),
    ).toEqual({
      out: "out\n",
      err: "err\n",
      exitCode: 7,
    });
    await until(() => world.engine.containers.list().length === 0, "removal");
    expect(world.leftovers()).toEqual([]);
  });

  test("with --rm its end is its removal", async () => {
    const { id, exited } = await world.engine.containers.run(request(["false"], { AutoRemove: true }), {
      attach: undefined,
      rows: 0,
      cols: 0,
    });
    expect(await exited).toEqual({ exitCode: 1, error: "" });
    expect(() => world.engine.containers.view(id)).toThrow(`No such container: ${id}`);
    expect(world.leftovers()).toEqual([]);
  });

  test("stdin to its end", async () => {
    const { session, exited } = await world.engine.containers.run(
      request(["sh", "-c", "cat; exit 3"], { AutoRemove: true }, { OpenStdin: true, StdinOnce: true }),
      { attach: allStreams, rows: 0, cols: 0 },
    );
    const said = listen(session);
    await session?.write(Buffer.from("hello"));
    session?.endStdin();
    expect((await said).out).toBe("hello");
    expect((await exited).exitCode).toBe(3);
  });

  test("a terminal has the size it was given", async () => {
    const { session } = await world.engine.containers.run(
      request(["stty", "size"], { AutoRemove: true }, { Tty: true }),
      {
        attach: outputStreams,
        rows: 31,
        cols: 97,
      },
    );
    expect((await listen(session)).out).toBe("31 97\r\n");
  });

  test("user, groups, home, environment, directory, hostname", async () => {
    const script = "id -u; id -g; id -G; echo $HOME $FROM $A; pwd; hostname";
    const said = await runOnce(
      world.engine,
      ["sh", "-c", script],
      { AutoRemove: true, GroupAdd: ["77"] },
      { User: "web", Env: ["A=b"], WorkingDir: "/made/up", Hostname: "box" },
    );
    expect(said).toEqual({ out: "33\n34\n34 29 77\n/data image b\n/made/up\nbox\n", err: "", exitCode: 0 });
  });

  test.each([
    [["no-such-command"], 127, "command-not-found", "executable file not found in $PATH"],
    [["/data"], 126, "command-not-executable", "/data"],
  ] as const)("%o: exit code %i", async (cmd, exitCode, code, words) => {
    const { containers } = world.engine;
    const failing = containers.run(request(cmd, {}, {}, "failing"), {
      attach: outputStreams,
      rows: 0,
      cols: 0,
    });
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
    expect(containers.list()).toEqual([]);
    await containers.create(request(cmd, {}, {}, "failing"));
    await expect(containers.start("failing")).rejects.toMatchObject({ code });
    expect(state("failing")).toMatchObject({ status: "created", exitCode, launching: false });
    await containers.remove("failing", { force: false, volumes: false });
    await containers.create(request(cmd, { AutoRemove: true }, {}, "failing"));
    await expect(containers.start("failing")).rejects.toMatchObject({ code });
    expect(containers.list()).toEqual([]);
    expect(world.leftovers()).toEqual([]);
  });

  test.each([
    ["an unknown image", {}, { Image: "nope" }, "No such image: nope:latest"],
    [
      "a missing mount source",
      { Mounts: [{ Type: "bind", Source: "/no/such", Target: "/x", ReadOnly: false }] },
      {},
      "bind source path does not exist: /no/such",
    ],
    ["an unknown network", { NetworkMode: "nonet" }, {}, "nonet"],
    ["an unknown capability", { CapAdd: ["FLY"] }, {}, "FLY"],
    ["an unknown user", {}, { User: "nobody" }, "unable to find user nobody"],
  ] as const)("%s leaves nothing", async (_, host, config, words) => {
    const run = world.engine.containers.run(
      request(["true"], { ...host, AutoRemove: true } as never, config),
      { attach: undefined, rows: 0, cols: 0 },
    );
    await expect(run).rejects.toThrow(words);
    expect(world.engine.containers.list()).toEqual([]);
    expect(world.leftovers()).toEqual([]);
  });
});

describe("life", () => {
  test("create, start, exec, pause, stop, start, remove, with the events", async () => {
    const { containers, events } = world.engine;
    const seen: string[] = [];
    const stopListening = events.subscribe((event) => void seen.push(event.action));
    const id = await started(
      ["sh", "-c", "trap 'exit 4' TERM; echo line; while :; do sleep 0.1; done"],
      {},
      { Env: ["A=1"] },
      "life",
    );
    expect(state("life")).toMatchObject({ status: "running", launching: false, exitCode: 0 });
    await expect(containers.start("life")).rejects.toMatchObject({ code: "not-modified" });
    expect(await exec("life", ["sh", "-c", "echo $A; exit 5"])).toEqual({
      out: "1\n",
      err: "",
      exitCode: 5,
      code: 5,
    });
    await containers.pause(id);
    expect(state(id).status).toBe("paused");
    await containers.unpause(id);
    expect(containers.top(id, "-o args").Processes.flat()).toContain("sleep 0.1");
    await containers.stop("life", { timeoutSeconds: 5 });
    expect(state(id)).toMatchObject({ status: "exited", exitCode: 4, pid: 0 });
    await expect(containers.stop("life")).rejects.toMatchObject({ code: "not-modified" });
    await containers.start("life");
    await containers.rename("life", "life2");
    await expect(containers.remove("life2", { force: false, volumes: false })).rejects.toMatchObject({
      code: "conflict",
    });
    await containers.remove("life2", { force: true, volumes: false });
    stopListening();
    expect(seen.filter((action) => !action.startsWith("exec_"))).toEqual([
      "create",
      "start",
      "pause",
      "unpause",
      "kill",
      "die",
      "stop",
      "start",
      "rename",
      "kill",
      "die",
      "destroy",
    ]);
    expect(world.leftovers()).toEqual([]);
  });

  test("stop makes it end when it does not listen; a paused one too", async () => {
    const { containers } = world.engine;
    const id = await started(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]);
    await until(
      () =>
        existsSync(containers.view(id).paths.log) &&
        readFileSync(containers.view(id).paths.log, "utf8") !== "",
      "output",
    );
    await containers.pause(id);
    await containers.stop(id, { timeoutSeconds: 0 });
    expect(state(id)).toMatchObject({ status: "exited", exitCode: 137 });
    await containers.remove(id, { force: false, volumes: false });
  });

  test("logs: tail, follow to the end, and rotation that bounds them", async () => {
    const { containers } = world.engine;
    const id = await started(["sh", "-c", "seq 1 2000; sleep 0.3; echo end"], {
      LogConfig: { Type: "json-file", Config: { "max-size": "8k", "max-file": "2" } },
    });
    const query = {
      stdout: true,
      stderr: true,
      timestamps: false,
      sinceNs: 0n,
      untilNs: 0n,
      tail: 2,
    } as const;
    const text = await Array.fromAsync(containers.logs(id, query, true, false, new AbortController().signal));
    expect(Buffer.concat(text).toString()).toEndWith("2000\nend\n");
    const dir = join(world.root, "containers", id);
    const files = readdirSync(dir).filter((name) => name.startsWith("container.log"));
    expect(files.sort()).toEqual(["container.log", "container.log.1"]);
    await containers.remove(id, { force: false, volumes: false });
  });

  test("attach before the start, and with the log to a running one", async () => {
    const { containers } = world.engine;
    const { id } = await containers.create(
      request(["sh", "-c", "echo first; read x; echo got $x"], {}, { OpenStdin: true }),
    );
    const early = await containers.attach(id, { streams: allStreams, logs: false, stream: true });
    const said = listen(early);
    await containers.start(id);
    await until(
      () =>
        existsSync(containers.view(id).paths.log) &&
        readFileSync(containers.view(id).paths.log, "utf8").includes("first"),
      "output",
    );
    const late = listen(await containers.attach(id, { streams: outputStreams, logs: true, stream: true }));
    // Later than the moment that both the log and the live output tell of.
    await Bun.sleep(20);
    await early.write(Buffer.from("it\n"));
    expect(await said).toEqual({ out: "first\ngot it\n", err: "", exitCode: 0 });
    expect((await late).out).toBe("first\ngot it\n");
    expect(await containers.wait(id, "not-running", new AbortController().signal)).toEqual({
      exitCode: 0,
      error: "",
    });
    await containers.remove(id, { force: false, volumes: false });
  });

  test("limits reach the kernel, are changed while it runs, and are told", async () => {
    const { containers } = world.engine;
    const id = await started(["sleep", "100"], { Memory: 64 << 20, PidsLimit: 20, NanoCpus: 5e8 });
    expect(containers.stats(id)).toMatchObject({
      running: true,
      usage: { pids: { limit: 20 }, memory: { limit: 64 << 20 } },
    });
    await containers.update(id, { Memory: 32 << 20, MemorySwap: 64 << 20, PidsLimit: 30 });
    expect(containers.stats(id).usage).toMatchObject({ pids: { limit: 30 }, memory: { limit: 32 << 20 } });
    expect(containers.metrics()).toContain('gantry_containers{state="running"} 1\n');
    const words = (await containers.explain(id)).map(({ text, because }) => `${text} ${because}`).join("\n");
    expect(words).toContain("--memory 32m");
    await containers.remove(id, { force: true, volumes: false });
  });

  test("out of memory is told", async () => {
    const { containers } = world.engine;
    const { id, exited } = await containers.run(
      request(["sh", "-c", "x=a; while :; do x=$x$x; done"], { Memory: 16 << 20, MemorySwap: 16 << 20 }),
      {
        attach: undefined,
        rows: 0,
        cols: 0,
      },
    );
    expect((await exited).exitCode).toBe(137);
    expect(state(id).oomKilled).toBe(true);
    await containers.remove(id, { force: false, volumes: false });
  }, 20_000);
});

describe("volumes and binds", () => {
  test("-v makes the directory, a new volume gets the image's files, anonymous ones go with it", async () => {
    const { containers, volumes } = world.engine;
    const bind = join(world.dir, "made/by-v");
    const host = { AutoRemove: false, Binds: [`${bind}:/b`, "named:/data", "/anon"] };
    expect(
      await runOnce(
        world.engine,
        ["sh", "-c", "cat /data/seed; echo hi > /b/x; echo y > /anon/y"],
        host,
        {},
        "vol",
      ),
    ).toMatchObject({
      out: "from the image\n",
      exitCode: 0,
    });
    expect(readFileSync(join(bind, "x"), "utf8")).toBe("hi\n");
    expect(containers.view("vol").mounts.map(({ type, target }) => `${type} ${target}`)).toEqual([
      "bind /b",
      "volume /data",
      "volume /anon",
    ]);
    expect(volumes.list()).toHaveLength(2);
    expect(containers.volumeUsers("named")).toHaveLength(1);
    await containers.remove("vol", { force: false, volumes: true });
    expect(volumes.list().map(({ name }) => name)).toEqual(["named"]);
    await volumes.remove("named", { force: false });
  });

  test("read-only binds, tmpfs and a read-only root", async () => {
    const dir = join(world.dir, "ro");
    mkdirSync(dir);
    writeFileSync(join(dir, "f"), "f\n");
    const host = {
      AutoRemove: true,
      ReadonlyRootfs: true,
      Binds: [`${dir}:/b:ro`],
      Tmpfs: { "/t": "size=1m" },
    };
    const said = await runOnce(
      world.engine,
      ["sh", "-c", "cat /b/f; echo x > /b/f; echo x > /x; echo t > /t/t && cat /t/t"],
      host,
    );
    expect(said.out).toBe("f\nt\n");
    expect(said.err.match(/Read-only file system/g)).toHaveLength(2);
  });
});

describe("exec", () => {
  test("user, directory, environment; failures have docker's words and codes; gone with its container", async () => {
    const { containers, execs } = world.engine;
    const id = await started(["sleep", "100"], {}, {}, "target");
    expect(
      await exec(id, ["sh", "-c", "id -u; pwd; echo $B"], {
        user: "web",
        workingDir: "/tmp",
        env: ["B=c"] as never,
      }),
    ).toMatchObject({
      out: "33\n/tmp\nc\n",
      code: 0,
    });
    const bad = execs.create(id, { ...noExec, cmd: ["nope"] });
    await expect(execs.start(bad.id, { attach: outputStreams, rows: 0, cols: 0 })).rejects.toMatchObject({
      code: "command-not-found",
      message: expect.stringMatching(
        /^OCI runtime exec failed: exec failed: .*executable file not found in \$PATH/,
      ),
    });
    expect(execs.inspect(bad.id)).toMatchObject({ running: false, exitCode: 127 });
    await expect(execs.start(bad.id, { rows: 0, cols: 0 })).rejects.toMatchObject({ code: "conflict" });
    const long = execs.create("target", { ...noExec, cmd: ["sleep", "100"] });
    await execs.start(long.id, { rows: 0, cols: 0 });
    expect(execs.inspect(long.id).running).toBe(true);
    expect(containers.view(id).execIds).toEqual([long.id]);
    await containers.remove(id, { force: true, volumes: false });
    expect(() => execs.inspect(long.id)).toThrow("No such exec instance");
    expect(() => execs.create(id, { ...noExec, cmd: ["true"] })).toThrow("No such container");
  });
});

describe("build", () => {
  async function* context(dockerfile: string): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(dockerfile);
    yield tarHeader({ path: "Dockerfile", type: "file", size: bytes.length });
    yield bytes;
    yield tarPadding(bytes.length);
    yield tarTrailer;
  }
  const build = async (dockerfile: string, signal = new AbortController().signal) => {
    let text = "";
    const say = (message: object): void => void (text += "stream" in message ? String(message.stream) : "");
    const request = { context: context(dockerfile), tags: ["made"], network: "none" };
    return { image: await world.engine.builder.build(request, say, signal), text };
  };

  test("RUN is a container without a record, limits and user included", async () => {
    const { text } = await build(
      'FROM busybox\nRUN id -u; echo built > /built\nUSER web\nRUN id -u\nCMD ["cat", "/built"]\n',
    );
    expect(text).toContain("\n0\n");
    expect(text).toContain("\n33\n");
    expect(await runOnce(world.engine, [], { AutoRemove: true }, { Image: "made" })).toMatchObject({
      out: "built\n",
      exitCode: 0,
    });
    await until(() => world.engine.containers.list().length === 0, "removal");
    expect(world.leftovers()).toEqual([]);
  });

  test("a failing command and a client that goes leave nothing", async () => {
    await expect(build("FROM busybox\nRUN exit 6\n")).rejects.toMatchObject({ fields: { exitCode: 6 } });
    const cancel = new AbortController();
    const building = build("FROM busybox\nRUN sleep 1000\n", cancel.signal);
    setTimeout(() => cancel.abort(), 300);
    await expect(building).rejects.toMatchObject({ code: "canceled" });
    expect(world.leftovers()).toEqual([]);
  });
});

describe("restart policies", () => {
  test("on-failure starts again so many times", async () => {
    const { containers } = world.engine;
    const id = await started(["sh", "-c", "exit 3"], {
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 },
    });
    await until(() => state(id).status === "exited", "the last exit");
    expect(state(id)).toMatchObject({ restartCount: 2, exitCode: 3 });
    await containers.remove(id, { force: false, volumes: false });
  });

  test("always goes on until the user stops it", async () => {
    const { containers } = world.engine;
    const id = await started(["true"], { RestartPolicy: { Name: "always", MaximumRetryCount: 0 } });
    await until(() => state(id).restartCount >= 2, "two restarts");
    await containers.stop(id);
    const count = state(id).restartCount;
    await Bun.sleep(700);
    expect(state(id)).toMatchObject({ status: "exited", restartCount: count, stoppedByUser: true });
    await containers.remove(id, { force: false, volumes: false });
  });
});

describe("an engine that comes again", () => {
  test("a second one is refused", async () => {
    const open = Engine.open({ root: world.root, state: world.state, logger: createLogger("error") });
    await expect(open).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`(pid ${process.pid}) already uses`),
    });
  });

  test("finds running ones, those that ended meanwhile, and those whose monitor was killed", async () => {
    const lines = await started(["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done"]);
    const ending = await started(["sh", "-c", "sleep 0.3; exit 9"]);
    const removed = await started(["sh", "-c", "sleep 0.3"], { AutoRemove: true });
    const always = await started(["sh", "-c", "sleep 0.3; exit 1"], {
      RestartPolicy: { Name: "always", MaximumRetryCount: 0 },
    });
    const orphan = await started(["sleep", "1000"], { NetworkMode: "bridge" });
    const paused = await started(["sleep", "1000"]);
    await world.engine.containers.pause(paused);
    const { monitorPid, pid } = state(orphan);
    await world.close();
    process.kill(monitorPid, "SIGKILL");
    await Bun.sleep(600);
    const { containers } = await world.open();
    expect(state(lines)).toMatchObject({ status: "running", launching: false });
    expect(state(ending)).toMatchObject({ status: "exited", exitCode: 9 });
    expect(() => state(removed)).toThrow("No such container");
    expect(state(orphan)).toMatchObject({ status: "exited", exitCode: 255, pid: 0 });
    expect(state(paused).status).toBe("paused");
    expect(lives(pid)).toBe(false);
    await until(() => state(always).status === "running" && state(always).restartCount > 0, "the restart");
    expect((await exec(lines, ["echo", "still"])).out).toBe("still\n");
    await containers.unpause(paused);
    await containers.kill(lines, "KILL");
    const log = readFileSync(containers.view(lines).paths.log, "utf8")
      .trim()
      .split("\n")
      .map((row) => Number(row.split(" ").at(-1)));
    expect(log.length).toBeGreaterThan(20);
    expect(log).toEqual(log.map((_, index) => index + 1));
    for (const id of [lines, ending, always, orphan, paused])
      await containers.remove(id, { force: true, volumes: false });
    expect(world.leftovers()).toEqual([]);
  }, 30_000);

  test("1,000 stopped containers are ready within half a second and listed within 60 ms", async () => {
    const { containers } = world.engine;
    for (let i = 0; i < 1000; i++) await containers.create(request(["true"]));
    await world.close();
    const before = performance.now();
    await world.open();
    const readyMs = performance.now() - before;
    world.engine.containers.list();
    const listed = performance.now();
    expect(world.engine.containers.list()).toHaveLength(1000);
    const listMs = performance.now() - listed;
    console.log(`ready ${readyMs.toFixed(0)} ms, list ${listMs.toFixed(1)} ms`);
    expect(readyMs).toBeLessThan(500);
    expect(listMs).toBeLessThan(60);
    expect((await world.engine.containers.prune({})).deleted).toHaveLength(1000);
  }, 60_000);
});

describe("kill -9 of the engine", () => {
  test("at random moments of create, start, exec and remove: each container is whole or gone", async () => {
    await world.close();
    const child = join(import.meta.dir, "engine-child.ts");
    for (let round = 0; round < Number(process.env["GANTRY_KILLS"] ?? 12); round++) {
      const engine = Bun.spawn([process.execPath, child, world.root, world.state, "churn"], {
        stdout: "pipe",
        stderr: "ignore",
      });
      for await (const _ of engine.stdout) break;
      await Bun.sleep(20 + Math.random() * 300);
      engine.kill("SIGKILL");
      await engine.exited;
    }
    const { containers } = await world.open();
    for (const { record } of containers.list()) {
      const { status, launching, pid } = state(record.id);
      expect(launching).toBe(false);
      expect(["created", "running", "exited"]).toContain(status);
      if (status === "running") expect((await exec(record.id, ["true"])).code).toBe(0);
      else expect(pid).toBe(0);
      await containers.remove(record.id, { force: true, volumes: true });
    }
    expect(world.leftovers()).toEqual([]);
    expect(world.engine.networks.endpointsOf(world.engine.networks.find("bridge").id)).toEqual([]);
  }, 120_000);
});
