/**
 * Bad input and a lacking machine, told to our own client and to the docker command: the error names the object, ours names the
 * remedy too, the exit code is docker's, and nothing is left behind. No space left is in disk-full.test.ts.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { binary, type Result, TestEngine } from "../lib/engine.ts";
import { footprint, settledFootprint } from "../lib/footprint.ts";
import { archive, dockerArchive, type Member } from "../lib/raw-tar.ts";

// A test that is too late would have the engine killed with its own processes.
setDefaultTimeout(60_000);

const docker = Bun.which("docker");
if (docker === null)
  process.stdout.write("bad-input.test.ts: no docker command is installed, only ours is asked\n");

const engine = new TestEngine("bad-input");

beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
  engine.ok("run", "-d", "--name", "holder", "-p", "0:80", "busybox", "sleep", "1000");
}, 60_000);

afterAll(async () => {
  await engine.uninstall();
}, 60_000);

function askDocker(words: readonly string[], stdin?: string | Uint8Array, of = engine): Result {
  const done = Bun.spawnSync([docker ?? "docker", "-H", `unix://${of.socket}`, ...words], {
    stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
    env: { PATH: process.env["PATH"] ?? "", DOCKER_BUILDKIT: "0", DOCKER_CONFIG: join(of.dir, "docker") },
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
}

interface Refusal {
  readonly words: readonly string[];
  readonly code: number;
  /** In the message that both clients print. */
  readonly says: string | RegExp;
  /** The remedy that ours prints. */
  readonly remedy: string | RegExp;
  readonly stdin?: string | Uint8Array;
  /** Where docker's client has other words or another code, or (false) no such request. */
  readonly docker?: false | { readonly code?: number; readonly says?: string | RegExp };
}

const holds = (text: string, wanted: string | RegExp): void =>
  typeof wanted === "string" ? expect(text).toContain(wanted) : expect(text).toMatch(wanted);

/** Asks both clients; after each the engine is as it was. */
function refused(asked: Refusal, of = engine): void {
  const before = footprint(of);
  const ours = of.run(asked.words, asked.stdin === undefined ? {} : { stdin: asked.stdin });
  holds(ours.err, asked.says);
  holds(ours.err, asked.remedy);
  expect(ours.code).toBe(asked.code);
  expect(settledFootprint(of, before)).toEqual(before);
  if (docker === null || asked.docker === false) return;
  // docker creates and starts in two requests; without --rm what could not be started stays, as on dockerd.
  const [verb = "", ...rest] = asked.words;
  const theirs = askDocker(verb === "run" ? [verb, "--rm", ...rest] : asked.words, asked.stdin, of);
  holds(theirs.err, asked.docker?.says ?? asked.says);
  expect(theirs.code).toBe(asked.docker?.code ?? asked.code);
  expect(settledFootprint(of, before)).toEqual(before);
}

describe("an unknown image", () => {
  const id = "0".repeat(64);
  test.each<Refusal>([
    {
      words: ["run", "--pull", "never", "nothere", "true"],
      code: 125,
      says: "No such image: nothere:latest",
      remedy: /hint: .*gantry pull/,
    },
    {
      words: ["create", "--pull", "never", "nothere"],
      code: 125,
      says: "No such image: nothere:latest",
      remedy: /hint: .*gantry pull/,
      docker: { code: 1 },
    },
    {
      words: ["rmi", "nothere"],
      code: 1,
      says: "No such image: nothere:latest",
      remedy: "hint: see what there is with: gantry images",
      // The client of docker 20 has words of its own for an object that is not there.
      docker: { says: /No such image: nothere\b/ },
    },
    {
      words: ["tag", "nothere", "x"],
      code: 1,
      says: "No such image: nothere:latest",
      remedy: "gantry images",
    },
    {
      words: ["save", "nothere", "-o", "/tmp/gantry-bad-input-never"],
      code: 1,
      says: "No such image: nothere:latest",
      remedy: "gantry images",
    },
    {
      words: ["build", "-"],
      // An id is no name that a registry could be asked for.
      stdin: `FROM ${id}\n`,
      code: 1,
      says: `No such image: ${id}`,
      remedy: "gantry images",
    },
  ])("$words", (asked) => {
    refused(asked);
    expect(existsSync("/tmp/gantry-bad-input-never")).toBe(false);
  });
});

describe("a bad flag or value", () => {
  const busybox = ["busybox", "true"];
  test.each<Refusal>([
    {
      words: ["run", "--nope", ...busybox],
      code: 125,
      says: "unknown flag: --nope",
      remedy: "gantry run --help",
    },
    { words: ["ps", "--nope"], code: 125, says: "unknown flag: --nope", remedy: "gantry ps --help" },
    {
      words: ["run", "--memory", "much", ...busybox],
      code: 125,
      says: 'invalid argument "much" for "-m, --memory" flag',
      remedy: "gantry run --help",
    },
    {
      words: ["run", "--memory", "1m", ...busybox],
      code: 125,
      says: "Minimum memory limit allowed is 6MB",
      remedy: "6MB",
    },
    {
      words: ["create", "--restart", "sometimes", "busybox"],
      code: 125,
      says: "unknown policy 'sometimes'",
      remedy: "use one of 'no', 'always'",
      docker: { code: 1 },
    },
    {
      words: ["run", "--cap-add", "FLY", ...busybox],
      code: 125,
      says: 'invalid capability: "CAP_FLY"',
      remedy: "capabilities(7)",
      // Newer clients complete the name before they send it.
      docker: { says: /invalid capability: "(CAP_)?FLY"/ },
    },
    {
      words: ["run", "--network", "nonet", ...busybox],
      code: 125,
      says: "network nonet not found",
      remedy: "gantry network create nonet",
    },
    {
      words: ["run", "-v", "made:/data", "--user", "nobodyhere", ...busybox],
      code: 125,
      says: "unable to find user nobodyhere",
      remedy: "no matching entries in passwd file",
      docker: false,
    },
    {
      words: ["network", "create", "--subnet", "10.300.0.0/24", "bad"],
      code: 1,
      says: "10.300.0.0/24",
      remedy: "hint: write it as 10.7.0.0/24",
      docker: { says: "10.300.0.0/24" },
    },
    {
      words: ["volume", "rm", "novolume"],
      code: 1,
      says: "novolume: no such volume",
      remedy: "gantry volume ls",
      docker: { says: /no such volume: novolume|novolume: no such volume/i },
    },
    { words: ["nocommand"], code: 1, says: /nocommand/, remedy: "gantry --help" },
  ])("$words", (asked) => refused(asked));
});

describe("a command that cannot be run leaves no container and no volume", () => {
  test.each<Refusal>([
    {
      words: ["run", "-v", "/anonymous", "busybox", "nope"],
      code: 127,
      says: 'exec: "nope": executable file not found in $PATH',
      remedy: "nope",
    },
    {
      words: ["run", "-d", "-v", "/anonymous", "busybox", "/bin/nope"],
      code: 127,
      says: "/bin/nope",
      remedy: "/bin/nope",
    },
    {
      words: ["run", "-v", "named:/named", "-p", "0:80", "busybox", "/etc"],
      code: 126,
      says: 'exec: "/etc": is a directory',
      remedy: "/etc",
      docker: false,
    },
    {
      words: ["exec", "holder", "nope"],
      code: 127,
      says: 'exec: "nope": executable file not found in $PATH',
      remedy: "nope",
      docker: { says: "" },
    },
    {
      words: ["exec", "holder", "/etc"],
      code: 126,
      says: 'exec: "/etc"',
      remedy: "/etc",
      docker: { says: "" },
    },
    {
      words: ["exec", "nobody", "true"],
      code: 1,
      says: "No such container: nobody",
      remedy: "gantry ps -a",
    },
  ])("$words", (asked) => refused(asked));
});

describe("a port in use", () => {
  test("by another program", async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const remedy = "hint: publish another port of the host, or stop what uses this one";
    refused({
      words: ["run", "-p", `127.0.0.1:${port}:80`, "busybox", "true"],
      code: 125,
      says: `127.0.0.1:${port}`,
      remedy,
    });
    refused({
      words: ["run", "-d", "-p", `${port}:80`, "busybox", "true"],
      code: 125,
      says: "address already in use",
      remedy,
    });
    server.close();
  });

  test("by another container", () => {
    const port = engine.ok("port", "holder", "80").replace(/^.*:/, "");
    refused({
      words: ["run", "-p", `${port}:80`, "busybox", "true"],
      code: 125,
      says: `Bind for 0.0.0.0:${port} failed: port is already allocated`,
      remedy: "hint: publish another port of the host",
    });
    expect(engine.ok("exec", "holder", "echo", "healthy")).toBe("healthy");
  });
});

describe("a duplicate name", () => {
  const taken = 'The container name "/holder" is already in use by container';
  const remedy = "hint: remove it with: gantry rm holder";
  test.each<Refusal>([
    {
      words: ["run", "--name", "holder", "-v", "other:/x", "busybox", "true"],
      code: 125,
      says: taken,
      remedy,
    },
    { words: ["create", "--name", "holder", "busybox"], code: 125, says: taken, remedy, docker: { code: 1 } },
    { words: ["network", "create", "bridge"], code: 1, says: "bridge", remedy: /bridge/ },
  ])("$words", (asked) => refused(asked));

  test("of a network", () => {
    engine.ok("network", "create", "twin");
    refused({
      words: ["network", "create", "twin"],
      code: 1,
      says: "network with name twin already exists",
      remedy: "twin",
    });
    engine.ok("network", "rm", "twin");
  });
});

test.each<Refusal>([
  {
    words: ["run", "--mount", "type=bind,src=/not/there,dst=/x", "busybox", "true"],
    code: 125,
    says: "bind source path does not exist: /not/there",
    remedy: "hint: create it, or use -v",
  },
  {
    words: ["run", "-v", "kept:/kept", "--mount", "type=bind,src=/not/there,dst=/x", "busybox", "true"],
    code: 125,
    says: "/not/there",
    remedy: "hint: create it",
  },
  {
    words: ["run", "--env-file", "/not/there", "busybox"],
    code: 125,
    says: "open /not/there: no such file or directory",
    remedy: "/not/there",
  },
])("a missing source: $words", (asked) => {
  refused(asked);
  expect(existsSync("/not")).toBe(false);
});

describe("a malformed Dockerfile shows line, column and place", () => {
  const at = (line: number, column: number, problem: string): RegExp =>
    new RegExp(
      `dockerfile parse error on line ${line}: .*${problem}.* \\(column ${column}\\)\\n +${line} \\| .*\\n +\\| {${column}}\\^`,
    );
  test.each<[string, string, RegExp]>([
    [
      "an unknown instruction",
      "FROM busybox\nRUNN x\n",
      at(2, 1, "unknown instruction: RUNN \\(did you mean RUN\\?\\)"),
    ],
    ["too few words", "FROM busybox\n\n  COPY a\n", at(3, 8, "COPY requires at least two arguments")],
    ["no FROM", "# comment\nRUN x\n", at(2, 1, "no build stage")],
    [
      "a heredoc without end",
      "FROM busybox\nRUN true\nRUN <<EOF\nx\n",
      at(3, 1, "unterminated heredoc <<EOF"),
    ],
    ["a variable without end", "FROM busybox\nENV X=${Y\n", at(2, 1, "missing '}'")],
    [
      "an unknown flag",
      "FROM busybox\nRUN --mount=type=cache x\n",
      at(2, 5, "--mount option is not supported"),
    ],
    ["a bad port", "FROM busybox\nEXPOSE 80/foo\n", at(2, 1, "80/foo")],
  ])("%s", (_, dockerfile, says) => {
    refused({ words: ["build", "-t", "malformed", "-"], stdin: dockerfile, code: 1, says, remedy: says });
  });

  test("none, an empty one, a folder", () => {
    const folder = mkdtempSync(join(engine.dir, "context-"));
    const lstat = `lstat ${folder}/Dockerfile: no such file or directory`;
    refused({ words: ["build", folder], code: 1, says: lstat, remedy: "hint: name the Dockerfile with -f" });
    writeFileSync(join(folder, "Dockerfile"), "");
    refused({
      words: ["build", folder],
      code: 1,
      says: "Dockerfile (Dockerfile) cannot be empty",
      remedy: "Dockerfile",
    });
    refused({ words: ["build", join(folder, "none")], code: 1, says: `${folder}/none`, remedy: "not found" });
  });

  test("a step that fails has the command's exit code and leaves no image", () => {
    const stdin = "FROM busybox\nRUN exit 6\n";
    refused({
      words: ["build", "-t", "failing", "-"],
      stdin,
      code: 6,
      says: "returned a non-zero code: 6",
      remedy: "exit 6",
    });
  });
});

describe("a damaged archive", () => {
  const noise = Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 7919 + (i >> 3) * 31 + 200) & 0xff));
  const tree = archive([
    { name: "bin/", type: "5" },
    { name: "bin/x", data: noise },
    { name: "Dockerfile", data: Buffer.from("FROM busybox\n") },
  ]);
  const image = dockerArchive(tree, "damaged:1");
  const foreign = dockerArchive(tree, "damaged:1", { diffId: `sha256:${"0".repeat(64)}` });
  const flipped = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 0xff;
    return copy;
  };
  const anew = /hint: (get or make the archive anew|the archive is damaged or is not a tar archive)/;
  const cases: readonly [string, Buffer, Buffer, RegExp][] = [
    [
      "truncated",
      image.subarray(0, image.length / 2),
      tree.subarray(0, tree.length / 2),
      /archive is truncated/,
    ],
    [
      "truncated gzip",
      gzipSync(image).subarray(0, -400),
      gzipSync(tree).subarray(0, -400),
      /gzip data is damaged or truncated/,
    ],
    [
      "corrupt gzip",
      flipped(gzipSync(image), 300),
      flipped(gzipSync(tree), 300),
      /gzip data is damaged or truncated/,
    ],
  ];

  test.each(cases)("%s", (_, asImage, asTree, says) => {
    const file = join(engine.dir, "damaged");
    writeFileSync(file, asImage);
    refused({ words: ["load", "-i", file], code: 1, says, remedy: anew });
    writeFileSync(file, asTree);
    refused({ words: ["import", file, "damaged:2"], code: 1, says, remedy: anew });
    refused({ words: ["build", "-t", "damaged:3", "-"], stdin: asTree, code: 1, says, remedy: anew });
  });

  test("without its end (which a build context may lack), with a damaged header", () => {
    const file = join(engine.dir, "damaged");
    const without = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length - 1024);
    for (const [damage, says] of [
      [without, /archive is truncated/],
      [(bytes: Buffer) => flipped(bytes, 20), /bad checksum in a tar header/],
    ] as const) {
      writeFileSync(file, damage(image));
      refused({ words: ["load", "-i", file], code: 1, says, remedy: anew });
      writeFileSync(file, damage(tree));
      refused({ words: ["import", file, "damaged:2"], code: 1, says, remedy: anew });
    }
    // docker's client takes what has no good header for a Dockerfile.
    const stdin = flipped(tree, 20);
    refused({
      words: ["build", "-"],
      stdin,
      code: 1,
      says: /bad checksum/,
      remedy: anew,
      docker: { says: /parse error on line 1/ },
    });
  });

  test("empty, no archive at all, a layer that is another", () => {
    const file = join(engine.dir, "damaged");
    for (const [bytes, says] of [
      [Buffer.alloc(0), /archive is truncated/],
      [noise, /bad checksum in a tar header/],
    ] as const) {
      writeFileSync(file, bytes);
      refused({ words: ["load", "-i", file], code: 1, says, remedy: anew });
      refused({ words: ["import", file, "damaged:2"], code: 1, says, remedy: anew });
    }
    writeFileSync(file, foreign);
    refused({ words: ["load", "-i", file], code: 1, says: /sha256:0{12}/, remedy: anew });
    refused({
      words: ["load", "-i", `${file}.none`],
      code: 1,
      says: `open ${file}.none: no such file or directory`,
      remedy: file,
    });
  });
});

describe("an archive that tries to escape", () => {
  const outside = join(engine.dir, "outside");
  const evil = Buffer.from("evil");
  const dockerfile: Member = { name: "Dockerfile", data: Buffer.from("FROM busybox\n") };
  test.each<[string, readonly Member[], string]>([
    ["by ..", [{ name: "../../outside/file", data: evil }], 'entry "../../outside/file"'],
    ["by .. in the middle", [{ name: "a/../../outside/file", data: evil }], 'entry "a/../../outside/file"'],
    ["by an absolute path", [{ name: `${outside}/file`, data: evil }], `entry "${outside}/file"`],
    [
      "through an absolute link",
      [
        { name: "l", type: "2", link: outside },
        { name: "l/file", data: evil },
      ],
      'through the link "l"',
    ],
    [
      "through a climbing link",
      [
        { name: "l", type: "2", link: "../../outside" },
        { name: "l/file", data: evil },
      ],
      'through the link "l"',
    ],
    ["by a hard link", [{ name: "l", type: "1", link: `../../outside/secret` }], "../../outside/secret"],
  ])("%s", (_, members, says) => {
    mkdirSync(outside, { recursive: true });
    writeFileSync(join(outside, "secret"), "untouched");
    const tree = archive([dockerfile, ...members]);
    const file = join(engine.dir, "escaping");
    const remedy = /hint: /;
    writeFileSync(file, dockerArchive(tree, "escaping:1"));
    refused({ words: ["load", "-i", file], code: 1, says, remedy });
    writeFileSync(file, tree);
    refused({ words: ["import", file, "escaping:2"], code: 1, says, remedy });
    refused({ words: ["build", "-t", "escaping:3", "-"], stdin: tree, code: 1, says, remedy });
    const context = archive([
      { name: "Dockerfile", data: Buffer.from("FROM busybox\nADD evil.tar /\n") },
      { name: "evil.tar", data: tree },
    ]);
    refused({ words: ["build", "-t", "escaping:4", "-"], stdin: context, code: 1, says, remedy });
    expect(readdirSync(outside)).toEqual(["secret"]);
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("untouched");
  });
});

describe("no permission", () => {
  /** Users that are not root may not reach the place where the binary was built. */
  const copy = join(engine.dir, "gantry");
  const asNobody = (...words: string[]): Result => {
    const done = Bun.spawnSync(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...words], {
      cwd: "/",
      env: { PATH: process.env["PATH"] ?? "" },
      timeout: 20_000,
    });
    return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
  };

  beforeAll(() => {
    copyFileSync(binary, copy);
    chmodSync(copy, 0o755);
    chmodSync(engine.dir, 0o711);
  });

  test("for the engine's socket", () => {
    const before = footprint(engine);
    const listed = asNobody(copy, ...engine.places, "ps");
    expect(listed.err).toContain(
      `permission denied while connecting to the engine at unix://${engine.socket}`,
    );
    expect(listed.err).toContain("hint: run it as root");
    expect(listed.code).toBe(1);
    expect(asNobody(copy, ...engine.places, "run", "busybox", "true").code).toBe(125);
    if (docker !== null) {
      const theirs = asNobody(docker, "-H", `unix://${engine.socket}`, "ps");
      expect(theirs.err).toContain("permission denied");
      expect(theirs.code).toBe(1);
    }
    expect(settledFootprint(engine, before)).toEqual(before);
  });

  test("to start an engine, by the client and by hand", () => {
    const elsewhere = join(engine.dir, "elsewhere");
    const places = ["--root", `${elsewhere}/lib`, "--state", `${elsewhere}/run`];
    const auto = asNobody(copy, ...places, "ps");
    expect(auto.err).toContain(
      `no engine is running at ${elsewhere}/run/engine.sock, and only root can start one`,
    );
    expect(auto.err).toContain("hint: run this command with sudo");
    expect(auto.code).toBe(1);
    const byHand = asNobody(copy, "engine", ...places);
    expect(byHand.err).toContain("root");
    expect(byHand.err).toContain("hint");
    expect(byHand.code).toBe(1);
    expect(existsSync(elsewhere)).toBe(false);
  });
});

describe("a machine without nftables", () => {
  let without: TestEngine;

  beforeAll(async () => {
    const launcher = join(engine.dir, "refuse-netfilter");
    const source = resolve(import.meta.dir, "refuse-netfilter.c");
    const built = Bun.spawnSync(["gcc", "-Wall", "-Werror", "-o", launcher, source]);
    if (built.exitCode !== 0) throw new Error(built.stderr.toString());
    without = new TestEngine("no-nftables", undefined, [launcher]);
    await without.start();
    without.ok("image", "bootstrap", "-q", "busybox");
  });

  afterAll(async () => {
    await without.uninstall();
  });

  test("what needs a bridge is refused, the rest works", () => {
    const says = "bridge networks need nftables, which this kernel refuses";
    const remedy = "run with --network host or none";
    refused({ words: ["run", "busybox", "true"], code: 125, says, remedy }, without);
    refused({ words: ["run", "-d", "-p", "0:80", "busybox", "true"], code: 125, says, remedy }, without);
    refused({ words: ["network", "create", "some"], code: 1, says, remedy }, without);
    for (const mode of ["none", "host"])
      expect(without.ok("run", "--rm", "--network", mode, "busybox", "echo", mode)).toBe(mode);
    expect(without.run(["build", "--network", "none", "-"], { stdin: "FROM busybox\nRUN true\n" }).code).toBe(
      0,
    );
  });
});

describe("a machine without the memory controller", () => {
  let without: TestEngine;

  beforeAll(async () => {
    // A cgroup v1 machine loses the mount; a v2 machine does not delegate the controller to the subtree it shows.
    const hide = 'umount /sys/fs/cgroup/memory && exec "$@"';
    without = new TestEngine("no-memory", undefined, ["unshare", "-m", "sh", "-c", hide, "sh"]);
    if (!existsSync("/sys/fs/cgroup/memory")) return;
    await without.start();
    without.ok("image", "bootstrap", "-q", "busybox");
  });

  afterAll(async () => {
    if (existsSync("/sys/fs/cgroup/memory")) await without.uninstall();
  });

  test.skipIf(!existsSync("/sys/fs/cgroup/memory"))(
    "a limit is refused, a container without one runs",
    () => {
      const says = '--memory cannot be kept: this machine offers no cgroup controller "memory"';
      const remedy = "hint: leave --memory away, or enable the controller";
      refused({ words: ["run", "--memory", "64m", "busybox", "true"], code: 125, says, remedy }, without);
      refused(
        { words: ["create", "--memory", "64m", "busybox"], code: 125, says, remedy, docker: { code: 1 } },
        without,
      );
      expect(without.ok("run", "--rm", "--pids-limit", "20", "busybox", "echo", "works")).toBe("works");
    },
  );
});

test("after all this the engine is healthy", () => {
  expect(engine.ok("run", "--rm", "busybox", "echo", "healthy")).toBe("healthy");
  expect(engine.ok("inspect", "-f", "{{.State.Running}}", "holder")).toBe("true");
});
