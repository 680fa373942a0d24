/** The real docker command on our engine: what a user of dockerd does on a day. Root; skipped where no docker is installed. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Result, TestEngine } from "../lib/engine.ts";

// A test that is too late would have the engine killed with its own processes.
setDefaultTimeout(60_000);

const docker = Bun.which("docker") ?? undefined;
const reason =
  docker === undefined ? "no docker command is installed" : process.getuid?.() === 0 ? "" : "it needs root";
if (reason !== "") process.stdout.write(`docker-cli.test.ts skipped: ${reason}\n`);

/** Set before the first test runs. */
let engine: TestEngine;

const environment = (): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  DOCKER_HOST: `unix://${engine.socket}`,
  DOCKER_CONFIG: join(engine.dir, "docker"),
  DOCKER_BUILDKIT: "0",
});

/** Runs docker to its end. */
async function run(words: readonly string[], stdin?: string): Promise<Result> {
  const child = Bun.spawn([docker ?? "docker", ...words], {
    stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: environment(),
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

/** Runs docker, which must succeed, and returns what it printed. */
async function ok(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await run(words);
  if (code !== 0) throw new Error(`docker ${words.join(" ")} exited with ${code}: ${err}${out}`);
  return out.trim();
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 15_000; !(await holds()); await Bun.sleep(20)) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen`);
  }
}

beforeAll(async () => {
  if (reason !== "") return;
  engine = new TestEngine("docker-cli");
  await engine.start();
  mkdirSync(join(engine.dir, "docker"));
  engine.ok("image", "bootstrap", "busybox");
}, 120_000);

afterAll(async () => {
  if (reason === "") await engine.uninstall();
}, 120_000);

describe.skipIf(reason !== "")("docker run", () => {
  test("input, output and exit code", async () => {
    expect(await run(["run", "--rm", "-i", "busybox", "sh", "-c", "cat; exit 7"], "hi")).toMatchObject({
      code: 7,
      out: "hi",
    });
  });

  test("stdout and stderr stay apart, and a megabyte each way is whole", async () => {
    const text = "0123456789abcde\n".repeat(1 << 16);
    const both = await run(["run", "--rm", "-i", "busybox", "sh", "-c", "echo oops >&2; cat"], text);
    expect(both.code).toBe(0);
    expect(both.err).toBe("oops\n");
    expect(both.out === text).toBe(true);
  });

  const endings = [
    { name: "an unknown command", words: ["busybox", "nope"], code: 127, err: "executable file not found" },
    { name: "an unknown path", words: ["busybox", "/bin/nope"], code: 127, err: "no such file or directory" },
    { name: "a directory as command", words: ["busybox", "/etc"], code: 126, err: "permission denied" },
    {
      name: "an unknown image",
      words: ["--pull", "never", "nothere", "true"],
      code: 125,
      err: "No such image: nothere:latest",
    },
    { name: "an unknown flag", words: ["--nope", "busybox"], code: 125, err: "unknown flag" },
    {
      name: "a bad memory limit",
      words: ["--memory", "1m", "busybox", "true"],
      code: 125,
      err: "Minimum memory limit allowed is 6MB",
    },
    {
      name: "a missing mount source",
      words: ["--mount", "type=bind,src=/not/there,dst=/x", "busybox", "true"],
      code: 125,
      err: "/not/there",
    },
    {
      name: "a signal",
      words: ["busybox", "sh", "-c", "trap 'exit 9' USR1; kill -USR1 1; sleep 5"],
      code: 9,
      err: "",
    },
    {
      name: "a signal that nothing catches",
      words: ["--init", "busybox", "sh", "-c", "kill -9 $$"],
      code: 137,
      err: "",
    },
  ] as const;
  test.each(endings)("$name: exit code $code", async ({ words, code, err }) => {
    const result = await run(["run", "--rm", ...words]);
    expect(result.err).toContain(err);
    // Told once, by the start; not by the wait for the container's end as well.
    expect(result.err).not.toContain("Error waiting");
    expect(result.code).toBe(code);
  });

  test("nothing is left of failed and removed ones", async () => {
    expect(await ok("ps", "-aq")).toBe("");
  });

  test("flags reach the container", async () => {
    const flags = ["-e", "A=b", "-w", "/tmp", "-u", "1:2", "-h", "box", "--name", "flags"];
    const text = await ok(
      "run",
      "--rm",
      ...flags,
      "busybox",
      "sh",
      "-c",
      'echo "$A $(pwd) $(id -u):$(id -g) $(hostname)"',
    );
    expect(text).toBe("b /tmp 1:2 box");
  });

  test("a terminal: its size, a new size, keys", async () => {
    let seen = "";
    const child = Bun.spawn([docker ?? "docker", "run", "--rm", "-it", "busybox", "sh"], {
      env: { ...environment(), TERM: "xterm" },
      terminal: { cols: 80, rows: 24, data: (_, bytes) => void (seen += Buffer.from(bytes).toString()) },
    });
    const sees = (text: string): Promise<void> =>
      until(() => seen.includes(text), `${JSON.stringify(text)} in ${JSON.stringify(seen)}`);
    await sees("# ");
    child.terminal?.write("stty size; tty\r");
    await sees("24 80");
    await sees("/dev/pts/0");
    child.terminal?.resize(100, 30);
    await Bun.sleep(300);
    child.terminal?.write("stty size\r");
    await sees("30 100");
    child.terminal?.write("exit 9\r");
    expect(await child.exited).toBe(9);
    child.terminal?.close();
  });

  test("the detach keys leave it running", async () => {
    let seen = "";
    const child = Bun.spawn([docker ?? "docker", "run", "-it", "--name", "left", "busybox", "sh"], {
      env: { ...environment(), TERM: "xterm" },
      terminal: { cols: 80, rows: 24, data: (_, bytes) => void (seen += Buffer.from(bytes).toString()) },
    });
    await until(() => seen.includes("# "), "the prompt");
    child.terminal?.write("\x10\x11");
    await child.exited;
    child.terminal?.close();
    expect(await ok("inspect", "-f", "{{.State.Running}}", "left")).toBe("true");
    await ok("rm", "-f", "left");
  });
});

describe.skipIf(reason !== "")("a container's life", () => {
  test("start, look, talk, change, stop, remove", async () => {
    const id = await ok(
      "run",
      "-d",
      "--name",
      "life",
      "--label",
      "tier=web",
      "busybox",
      "sh",
      "-c",
      "echo ready; exec sleep 1000",
    );
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await ok("ps", "--format", "{{.Names}} {{.State}}", "--filter", "label=tier=web")).toBe(
      "life running",
    );
    expect(
      await ok(
        "inspect",
        "-f",
        "{{.Name}} {{.State.Status}} {{.HostConfig.NetworkMode}} {{.Config.Image}}",
        "life",
      ),
    ).toBe("/life running bridge busybox");
    await until(async () => (await ok("logs", "life")) === "ready", "the log's line");
    expect(await ok("top", "life")).toContain("sleep 1000");
    expect(await ok("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "life")).toBe("life 1");
    await ok("update", "--memory", "64m", "--memory-swap", "64m", "life");
    expect(await ok("inspect", "-f", "{{.HostConfig.Memory}}", "life")).toBe(String(64 << 20));
    await ok("pause", "life");
    expect(await ok("ps", "--format", "{{.Status}}")).toContain("(Paused)");
    await ok("unpause", "life");
    await ok("rename", "life", "lives");
    const waiting = run(["wait", "lives"]);
    await Bun.sleep(200);
    await ok("stop", "-t", "1", "lives");
    expect((await waiting).out.trim()).toBe("137");
    expect(await ok("ps", "-a", "--filter", "status=exited", "--format", "{{.Names}}")).toBe("lives");
    await ok("start", "lives");
    expect((await run(["rm", "lives"])).err).toContain("container is running");
    await ok("restart", "-t", "0", "lives");
    await ok("kill", "lives");
    await ok("rm", "-v", "lives");
    expect((await run(["inspect", "lives"])).code).toBe(1);
  });

  test("names are unique and found by prefix", async () => {
    const id = await ok("create", "--name", "twin", "busybox", "true");
    const again = await run(["create", "--name", "twin", "busybox", "true"]);
    expect([again.code, again.err]).toEqual([
      1,
      expect.stringContaining('The container name "/twin" is already in use'),
    ]);
    expect(await ok("inspect", "-f", "{{.Name}}", id.slice(0, 6))).toBe("/twin");
    expect(await run(["start", "-a", "twin"])).toMatchObject({ code: 0 });
    await ok("rm", "twin");
  });

  test("start -a -i gives the output and the exit code", async () => {
    await ok("create", "-i", "--name", "again", "busybox", "sh", "-c", "cat; exit 3");
    expect(await run(["start", "-ai", "again"], "once")).toMatchObject({ code: 3, out: "once" });
    expect(await run(["start", "-ai", "again"], "twice")).toMatchObject({ code: 3, out: "twice" });
    await ok("rm", "again");
  });

  test("logs: followed to the end, the tail, both streams, times", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "talker",
      "busybox",
      "sh",
      "-c",
      "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done; echo end >&2",
    );
    const followed = await run(["logs", "-f", "talker"]);
    expect(followed).toEqual({ code: 0, out: "line 1\nline 2\nline 3\nline 4\nline 5\n", err: "end\n" });
    expect((await run(["logs", "--tail", "2", "talker"])).out).toBe("line 5\n");
    expect(await ok("logs", "-t", "--tail", "3", "talker")).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z line 4\n/);
    await ok("rm", "talker");
  });

  test("exec: input, output, exit codes, environment, in the background", async () => {
    await ok("run", "-d", "--name", "host", "busybox", "sleep", "1000");
    expect(await run(["exec", "-i", "host", "sh", "-c", "cat; echo no >&2; exit 4"], "in")).toEqual({
      code: 4,
      out: "in",
      err: "no\n",
    });
    expect(
      await ok("exec", "-e", "X=y", "-w", "/etc", "-u", "5", "host", "sh", "-c", 'echo "$X $(pwd) $(id -u)"'),
    ).toBe("y /etc 5");
    for (const [words, code, said] of [
      [
        ["host", "nope"],
        127,
        /^OCI runtime exec failed: exec failed: unable .* exec: "nope": executable file/,
      ],
      [["host", "/etc"], 126, /permission denied/],
      [["-w", "/not/there", "host", "pwd"], 126, /\/not\/there/],
      [["-u", "nobody-knows", "host", "id"], 126, /^unable to find user nobody-knows/],
    ] as const) {
      expect(await run(["exec", ...words])).toEqual({ code, out: expect.stringMatching(said), err: "" });
    }
    expect(await ok("exec", "-u", "5:6", "host", "grep", "Groups", "/proc/self/status")).toMatch(
      /^Groups:\s6$/,
    );
    await ok("exec", "-d", "host", "touch", "/tmp/made");
    await until(
      async () => (await run(["exec", "host", "test", "-e", "/tmp/made"])).code === 0,
      "the file of the background exec",
    );
    await ok("rm", "-f", "host");
    expect((await run(["exec", "host", "true"])).err).toContain("No such container: host");
  });

  test("exec on a terminal", async () => {
    await ok("run", "-d", "--name", "tty", "busybox", "sleep", "1000");
    let seen = "";
    const child = Bun.spawn([docker ?? "docker", "exec", "-it", "tty", "sh"], {
      env: { ...environment(), TERM: "xterm" },
      terminal: { cols: 91, rows: 33, data: (_, bytes) => void (seen += Buffer.from(bytes).toString()) },
    });
    await until(() => seen.includes("# "), "the prompt");
    await Bun.sleep(200);
    child.terminal?.write("stty size; exit 6\r");
    await until(() => seen.includes("33 91"), `the size in ${JSON.stringify(seen)}`);
    expect(await child.exited).toBe(6);
    child.terminal?.close();
    await ok("rm", "-f", "tty");
  });

  test("cp: in and out, running and stopped", async () => {
    const file = join(engine.dir, "file");
    writeFileSync(file, "content\n");
    await ok("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    await ok("cp", file, "box:/tmp/in");
    expect(await ok("exec", "box", "cat", "/tmp/in")).toBe("content");
    await ok("kill", "box");
    await ok("cp", "box:/tmp/in", `${file}.out`);
    expect(readFileSync(`${file}.out`, "utf8")).toBe("content\n");
    await ok("cp", file, "box:/tmp/stopped");
    await ok("start", "box");
    expect(await ok("exec", "box", "cat", "/tmp/stopped")).toBe("content");
    // The words of docker 20 and of later ones.
    expect((await run(["cp", "box:/nope", file])).err).toMatch(
      /No such container:path: box:\/nope|Could not find the file \/nope/,
    );
    await ok("rm", "-f", "box");
  });

  test("events tell of it", async () => {
    const since = Math.floor(Date.now() / 1000);
    await ok("run", "--rm", "--name", "told", "busybox", "true");
    await Bun.sleep(1100);
    const until = Math.floor(Date.now() / 1000);
    const text = await ok(
      "events",
      "--since",
      String(since),
      "--until",
      String(until),
      "--filter",
      "container=told",
      "--format",
      "{{.Action}}",
    );
    expect(
      text.split("\n").filter((action) => ["create", "start", "die", "destroy"].includes(action)),
    ).toEqual(["create", "start", "die", "destroy"]);
  });

  test("prune takes what does not run", async () => {
    await ok("create", "--name", "idle", "busybox", "true");
    expect(await ok("container", "prune", "-f")).toContain("Deleted Containers:");
    expect(await ok("ps", "-aq")).toBe("");
  });
});

describe.skipIf(reason !== "")("images, volumes and networks", () => {
  test("build, with a failing step's exit code", async () => {
    const context = join(engine.dir, "context");
    mkdirSync(context);
    writeFileSync(
      join(context, "Dockerfile"),
      'FROM busybox\nARG WHO=nobody\nCOPY hello /hello\nRUN echo "for $WHO" >> /hello\nCMD ["cat", "/hello"]\n',
    );
    writeFileSync(join(context, "hello"), "hello\n");
    expect(await ok("build", "-t", "greet:1", "--build-arg", "WHO=you", context)).toContain(
      "Successfully tagged greet:1",
    );
    expect(await ok("run", "--rm", "greet:1")).toBe("hello\nfor you");
    expect(await ok("build", "-q", "-t", "greet:1", "--build-arg", "WHO=you", context)).toMatch(
      /^sha256:[0-9a-f]{64}$/,
    );
    expect(await ok("history", "--format", "{{.CreatedBy}}", "greet:1")).toContain("cat");
    // docker's client puts such a Dockerfile into the context's tar, and forgets the tar's end.
    expect(await run(["build", "-q", "-f", "-", context], "FROM busybox\nCOPY hello /\n")).toMatchObject({
      code: 0,
    });
    writeFileSync(join(context, "Dockerfile"), "FROM busybox\nRUN exit 6\n");
    const failed = await run(["build", context]);
    expect(failed.code).toBe(6);
    expect(failed.err).toContain("returned a non-zero code: 6");
  });

  test("import, tag, save, load, remove", async () => {
    const archive = join(engine.dir, "busybox.tar");
    await ok("save", "-o", archive, "busybox");
    await ok("tag", "busybox", "other/name:2");
    expect(await ok("images", "--format", "{{.Repository}}:{{.Tag}}", "other/name")).toBe("other/name:2");
    expect(await ok("rmi", "other/name:2")).toBe("Untagged: other/name:2");
    expect(await ok("load", "-i", archive)).toContain("Loaded image: busybox:latest");
    const id = await ok("create", "busybox", "true");
    const tree = join(engine.dir, "tree.tar");
    await ok("export", "-o", tree, id);
    await ok("rm", id);
    await ok("import", "--change", 'CMD ["echo", "imported"]', tree, "flat:1");
    expect(await ok("run", "--rm", "flat:1")).toBe("imported");
    expect(await ok("image", "inspect", "-f", "{{len .RootFS.Layers}}", "flat:1")).toBe("1");
    expect(await ok("rmi", "flat:1")).toContain("Deleted: sha256:");
    const unknown = await run(["rmi", "flat:1"]);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("No such image: flat:1")]);
  });

  test("volumes keep data", async () => {
    await ok("volume", "create", "data");
    await ok("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo kept > /d/file");
    expect(await ok("run", "--rm", "-v", "data:/d", "busybox", "cat", "/d/file")).toBe("kept");
    expect(await ok("volume", "inspect", "-f", "{{.Driver}}", "data")).toBe("local");
    await ok("create", "--name", "user", "-v", "data:/d", "busybox");
    expect((await run(["volume", "rm", "data"])).err).toContain("volume is in use");
    await ok("rm", "user");
    await ok("volume", "rm", "data");
  });

  test("containers of a network find each other by name", async () => {
    await ok("network", "create", "net1");
    await ok(
      "run",
      "-d",
      "--name",
      "server",
      "--network",
      "net1",
      "busybox",
      "sh",
      "-c",
      "echo page > /tmp/index.html; exec httpd -f -p 80 -h /tmp",
    );
    const page = async (): Promise<Result> =>
      run(["run", "--rm", "--network", "net1", "busybox", "wget", "-q", "-O-", "http://server/index.html"]);
    await until(async () => (await page()).out === "page\n", "the page");
    expect(await ok("network", "inspect", "-f", "{{range .Containers}}{{.Name}}{{end}}", "net1")).toBe(
      "server",
    );
    expect((await run(["network", "rm", "net1"])).code).toBe(1);
    await ok("rm", "-f", "server");
    await ok("network", "rm", "net1");
  });

  test("a published port is reachable, and taken", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "web",
      "-p",
      "127.0.0.1::80",
      "busybox",
      "sh",
      "-c",
      "echo page > /tmp/index.html; exec httpd -f -p 80 -h /tmp",
    );
    const address = await ok("port", "web", "80");
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    await until(async () => {
      try {
        return (await (await fetch(`http://${address}/index.html`)).text()) === "page\n";
      } catch {
        // Refused until the server listens.
        return false;
      }
    }, "the page");
    const taken = await run(["run", "--rm", "-p", `${address}:80`, "busybox", "true"]);
    expect([taken.code, taken.err]).toEqual([125, expect.stringContaining("port is already allocated")]);
    await ok("rm", "-f", "web");
  });

  test("what we do not have is refused in words", async () => {
    expect((await run(["swarm", "init"])).err).toContain("This node is not a swarm manager");
    expect(await ok("system", "df")).toContain("Build Cache");
    expect(await ok("info", "--format", "{{.Driver}} {{.DefaultRuntime}}")).toMatch(
      /^(overlay2|erofs) gantry$/,
    );
    expect(await ok("version", "--format", "{{.Server.APIVersion}}")).toBe("1.50");
  });
});
