/**
 * The command line against a real engine, which it starts itself. Needs root and busybox (package busybox-static).
 * GANTRY_BIN names a compiled program; without it the sources are run.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const program =
  process.env["GANTRY_BIN"] === undefined
    ? [process.execPath, resolve(import.meta.dir, "../../src/main.ts")]
    : [process.env["GANTRY_BIN"]];
const base = mkdtempSync("/tmp/gantry-cli-test-");
const places = ["--state", join(base, "run"), "--root", join(base, "lib")];

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function gantry(
  words: readonly string[],
  options: { readonly stdin?: string; readonly env?: Record<string, string> } = {},
): Result {
  const done = Bun.spawnSync([...program, ...places, ...words], {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    env: { PATH: process.env["PATH"] ?? "", ...options.env },
    timeout: 60_000,
  });
  return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
}

/** The pid in `started one (pid N, …)`. */
let enginePid = 0;

beforeAll(() => {
  const first = gantry(["image", "bootstrap", "-q", "busybox"]);
  enginePid = Number(/started one \(pid (\d+),/.exec(first.err)?.[1] ?? 0);
  if (first.code !== 0) throw new Error(`no base image: ${first.err}`);
}, 120_000);

afterAll(() => {
  const removed = gantry(["system", "uninstall", "--force"]);
  if (removed.code !== 0) throw new Error(`uninstall failed: ${removed.err}`);
  rmSync(base, { recursive: true, force: true });
}, 60_000);

test("an engine was started, once, and the user was told", () => {
  expect(enginePid).toBeGreaterThan(0);
  expect(gantry(["ps"]).err).toBe("");
});

describe("run", () => {
  test("output, error output and exit code are the program's", () => {
    expect(gantry(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"])).toEqual({
      code: 7,
      out: "out\n",
      err: "err\n",
    });
  });

  test("stdin reaches the program and its end too", () => {
    expect(gantry(["run", "--rm", "-i", "busybox", "sh", "-c", "cat; exit 3"], { stdin: "hi" })).toEqual({
      code: 3,
      out: "hi",
      err: "",
    });
  });

  test("a large output arrives whole", () => {
    const { out } = gantry(["run", "--rm", "busybox", "sh", "-c", "yes 0123456789 | head -c 5000000"]);
    expect(out.length).toBe(5_000_000);
  });

  test.each([
    ["an unknown flag", ["run", "--foo", "busybox"], 125, "unknown flag: --foo"],
    ["an unknown image", ["run", "--rm", "no-such-image"], 125, "no-such-image"],
    ["an unknown command", ["run", "--rm", "busybox", "no-such-command"], 127, "no-such-command"],
    ["a directory as command", ["run", "--rm", "busybox", "/etc"], 126, "/etc"],
    [
      "a missing mount source",
      ["run", "--rm", "--mount", "type=bind,src=/no/such,dst=/x", "busybox", "true"],
      125,
      "/no/such",
    ],
  ])("%s", (_, words, code, text) => {
    const result = gantry(words);
    expect(result.code).toBe(code);
    expect(result.err).toContain(text);
    expect(gantry(["ps", "-aq"]).out).toBe("");
  });

  test("a terminal passes keys and output as they are, follows our size, and is given back", async () => {
    let seen = "";
    const script = '"$@"; echo "code $?"; stty -a; exit';
    const child = Bun.spawn(
      ["sh", "-c", script, "sh", ...program, ...places, "run", "--rm", "-it", "busybox", "sh"],
      {
        terminal: { cols: 80, rows: 24, data: (_, bytes) => void (seen += Buffer.from(bytes).toString()) },
      },
    );
    const until = async (text: string): Promise<void> => {
      for (let tries = 0; !seen.includes(text) && tries < 500; tries++) await Bun.sleep(10);
      expect(seen).toContain(text);
      seen = seen.slice(seen.indexOf(text) + text.length);
    };
    await until("# ");
    child.terminal?.write("stty size\r");
    await until("\r\n24 80\r\n");
    child.terminal?.resize(100, 30);
    await Bun.sleep(300);
    child.terminal?.write("stty size; stty -onlcr; printf 'straight\\ndown\\n'; stty onlcr\r");
    await until("\r\n30 100\r\nstraight\ndown\n");
    const loop = "trap 'echo in''terrupted; exit' INT; echo u''p; while :; do sleep 0.05; done";
    child.terminal?.write(`(${loop})\r`);
    await until("up\r\n");
    child.terminal?.write("\x03");
    await until("interrupted\r\n");
    child.terminal?.write("exit 9\r");
    await until("code 9\r\n");
    await until("\nopost ");
    expect(await child.exited).toBe(0);
    child.terminal?.close();
  }, 30_000);

  test("a signal to the client reaches the program", async () => {
    const child = Bun.spawn(
      [
        ...program,
        ...places,
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done",
      ],
      { stdout: "pipe" },
    );
    for await (const piece of child.stdout) {
      if (Buffer.from(piece).toString().includes("up")) break;
    }
    child.kill("SIGTERM");
    expect(await child.exited).toBe(9);
  });

  test("--cidfile holds the id and is never overwritten", () => {
    const file = join(base, "cid");
    const { out } = gantry([
      "run",
      "-d",
      "--rm",
      "--name",
      "cid",
      "--cidfile",
      file,
      "busybox",
      "sleep",
      "60",
    ]);
    expect(readFileSync(file, "utf8")).toBe(out.trim());
    expect(gantry(["run", "--cidfile", file, "busybox"]).err).toContain("container ID file found");
    expect(gantry(["rm", "-f", "cid"]).out).toBe("cid\n");
  });
});

describe("the life of a container", () => {
  test("create, start, list, logs, exec, inspect, rename, stop, wait, remove", () => {
    const { out: id } = gantry([
      "create",
      "--name",
      "life",
      "-e",
      "A=b",
      "busybox",
      "sh",
      "-c",
      "echo line; trap 'exit 4' TERM; while :; do sleep 0.05; done",
    ]);
    expect(id).toMatch(/^[0-9a-f]{64}\n$/);
    expect(gantry(["start", "life"]).out).toBe("life\n");
    expect(gantry(["ps", "--format", "{{.Names}} {{.Image}} {{.State}}"]).out).toBe("life busybox running\n");
    expect(gantry(["ps", "-q", "--no-trunc"]).out).toBe(id);
    expect(gantry(["exec", "-e", "C=d", "-w", "/tmp", "life", "sh", "-c", "echo $A$C $PWD; exit 5"])).toEqual(
      { code: 5, out: "bd /tmp\n", err: "" },
    );
    expect(gantry(["exec", "-i", "life", "cat"], { stdin: "x" }).out).toBe("x");
    expect(gantry(["logs", "life"]).out).toBe("line\n");
    expect(gantry(["inspect", "-f", "{{.State.Running}} {{index .Config.Env 0}}", "life"]).out).toBe(
      "true A=b\n",
    );
    expect(gantry(["rename", "life", "life2"])).toEqual({ code: 0, out: "", err: "" });
    expect(gantry(["stop", "-t", "5", "life2"]).out).toBe("life2\n");
    expect(gantry(["wait", "life2"]).out).toBe("4\n");
    expect(gantry(["start", "-a", "life2", "x"]).err).toContain("multiple containers");
    expect(gantry(["rm", "life2", "life"])).toMatchObject({ code: 1, out: "life2\n" });
  });

  test("explain names a flag that was given", () => {
    gantry(["create", "--name", "plan", "--memory", "64m", "busybox", "true"]);
    const { out, code } = gantry(["explain", "plan"]);
    expect(code).toBe(0);
    expect(out).toContain("--memory");
    gantry(["rm", "plan"]);
  });
});

describe("images", () => {
  test("save, remove, load bring an image back", () => {
    const archive = join(base, "busybox.tar");
    expect(gantry(["tag", "busybox", "copy:1"]).code).toBe(0);
    expect(gantry(["save", "-o", archive, "copy:1"]).code).toBe(0);
    expect(gantry(["rmi", "copy:1"]).out).toStartWith("Untagged: copy:1");
    expect(gantry(["load", "-i", archive]).out).toContain("Loaded image: copy:1");
    expect(gantry(["images", "--format", "{{.Repository}}:{{.Tag}}", "copy"]).out).toBe("copy:1\n");
  });

  test("build: steps are printed, a failing step gives its exit code", () => {
    const dockerfile = "FROM busybox\nRUN echo built > /built\nCMD cat /built\n";
    const built = gantry(["build", "-t", "made", "-"], { stdin: dockerfile });
    expect(built.out).toContain("Step 2/3 : RUN echo built > /built");
    expect(gantry(["run", "--rm", "made"]).out).toBe("built\n");
    expect(gantry(["build", "-"], { stdin: "FROM busybox\nRUN exit 6\n" }).code).toBe(6);
  });

  test("a folder with .dockerignore", () => {
    const folder = mkdtempSync(join(base, "ctx-"));
    writeFileSync(join(folder, "Dockerfile"), "FROM busybox\nCOPY . /c\n");
    writeFileSync(join(folder, "secret"), "s");
    writeFileSync(join(folder, "keep"), "k");
    writeFileSync(join(folder, ".dockerignore"), "secret\n");
    expect(gantry(["build", "-q", "-t", "ctx", folder]).out).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(gantry(["run", "--rm", "ctx", "ls", "/c"]).out).toBe("Dockerfile\nkeep\n");
  });
});

test("volumes and networks come and go", () => {
  expect(gantry(["volume", "create", "vv"]).out).toBe("vv\n");
  expect(gantry(["volume", "ls", "-q"]).out).toBe("vv\n");
  expect(gantry(["volume", "rm", "vv"]).out).toBe("vv\n");
  expect(gantry(["network", "create", "--subnet", "10.199.7.0/24", "n"]).out).toMatch(/^[0-9a-f]{64}\n$/);
  expect(gantry(["network", "ls", "--filter", "name=n", "--format", "{{.Name}}"]).out).toContain("n\n");
  expect(gantry(["network", "rm", "n"]).out).toBe("n\n");
});

test("completion offers names of containers", () => {
  gantry(["create", "--name", "typed", "busybox"]);
  const script = `source <("\${@}" completion bash); COMP_WORDS=(gantry ${places.join(" ")} rm ty); COMP_CWORD=6; gantry() { "\${ALL[@]}" "$@"; }; ALL=("\${@}"); _gantry; echo "\${COMPREPLY[@]}"`;
  const done = Bun.spawnSync(["bash", "-c", script, "bash", ...program], {
    env: { PATH: process.env["PATH"] ?? "" },
  });
  expect(done.stdout.toString()).toBe("typed\n");
  gantry(["rm", "typed"]);
});
