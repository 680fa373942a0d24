/** The builder on a real image store, with real overlays. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { BuildWorld, type ContextFile, contextTar } from "./build-world.ts";

let world: BuildWorld;
beforeAll(async () => {
  world = await BuildWorld.open();
});
afterAll(async () => {
  expect(world.leftovers()).toEqual([]);
  await world[Symbol.asyncDispose]();
});

const from = (body: string): string => `FROM busybox\n${body}`;

describe("docker's words", () => {
  const files = {
    Dockerfile: `ARG V=latest
FROM busybox:$V AS first
ARG NAME=you
ENV GREETING=hello
RUN echo "$GREETING $NAME" > /out && echo done && echo oops >&2
COPY a.txt /dest/
FROM scratch
COPY --from=first /out /
WORKDIR /new/dir
CMD ["/out"]
`,
    "a.txt": "A",
  };
  const ran = (line: string): string =>
    `${line}\n ---> Running in CONTAINER\n ---> Removed intermediate container CONTAINER\n ---> IMAGE\n`;

  test("a first build: every line", async () => {
    const { text, error, messages, image } = await world.build(files, {
      tags: ["app", "app:1"],
      buildArgs: { UNUSED: "1" },
    });
    expect(error).toBeUndefined();
    expect(text).toBe(
      `Step 1/10 : ARG V=latest\nStep 2/10 : FROM busybox:$V AS first\n ---> IMAGE\n${ran("Step 3/10 : ARG NAME=you")}${ran("Step 4/10 : ENV GREETING=hello")}` +
        `Step 5/10 : RUN echo "$GREETING $NAME" > /out && echo done && echo oops >&2\n ---> Running in CONTAINER\ndone\n\u001B[91moops\n\u001B[0m ---> Removed intermediate container CONTAINER\n ---> IMAGE\n` +
        `Step 6/10 : COPY a.txt /dest/\n ---> IMAGE\nStep 7/10 : FROM scratch\n ---> \nStep 8/10 : COPY --from=first /out /\n ---> IMAGE\n` +
        `${ran("Step 9/10 : WORKDIR /new/dir")}${ran('Step 10/10 : CMD ["/out"]')}` +
        `[Warning] One or more build-args [UNUSED] were not consumed\nSuccessfully built IMAGE\nSuccessfully tagged app:latest\nSuccessfully tagged app:1\n`,
    );
    expect(messages.filter((message) => "aux" in message)).toHaveLength(2);
    expect(String(world.images.find("app:1").id)).toBe(String(image?.id));
    expect(image?.config.config).toMatchObject({ WorkingDir: "/new/dir", Cmd: ["/out"] });
    const rows = await world.trees.list({ lowers: image?.lowers ?? [] }, "/", { recursive: true });
    expect(rows?.map((row) => row.path)).toEqual(["", "new", "new/dir", "out"]);
    expect(
      Buffer.from((await world.trees.readFile({ lowers: image?.lowers ?? [] }, "/out", 99)) ?? []).toString(),
    ).toBe("hello you\n");
  });

  test("history says what docker's says", () => {
    const history = world.images.find("app").config.history;
    const rows = history.map(
      (row) => `${row.created_by?.replace(/file:[0-9a-f]{64}/, "file:HASH")}|${row.empty_layer === true}`,
    );
    expect(rows).toEqual([
      "/bin/sh -c #(nop) COPY file:HASH in / |false",
      "/bin/sh -c #(nop) WORKDIR /new/dir|false",
      '/bin/sh -c #(nop)  CMD ["/out"]|true',
    ]);
  });

  test("a second build comes from the cache, another argument does not, --no-cache never", async () => {
    const before = world.images.find("app").id;
    const runs = world.runner.requests.length;
    const again = await world.build({ ...files, "a.txt": "A" });
    expect([again.image?.id, again.text.match(/ ---> Using cache\n/g)?.length]).toEqual([before, 7]);
    expect(world.runner.requests).toHaveLength(runs);
    const other = await world.build(files, { buildArgs: { NAME: "me" } });
    expect(other.text.match(/ ---> Using cache\n/g)).toHaveLength(2);
    expect(world.runner.requests).toHaveLength(runs + 1);
    const fresh = await world.build(files, { noCache: true });
    expect(fresh.text).not.toContain("Using cache");
    expect(fresh.image?.id).not.toBe(before);
  });

  test("with cacheFrom only what those images are made of is cache", async () => {
    const simple = { Dockerfile: "FROM scratch\nENV A=b\nCOPY f /f\n", f: "f" };
    await world.build(simple, { tags: ["simple"] });
    const named = await world.build(simple, { cacheFrom: ["nosuch", "simple"] });
    expect(named.text.match(/ ---> Using cache\n/g)).toHaveLength(2);
    const unknown = await world.build(simple, { cacheFrom: ["nosuch"] });
    expect(unknown.text).not.toContain("Using cache");
  });

  test("quiet says the id alone; rm=false keeps the removal to itself", async () => {
    const quiet = await world.build(files, { quiet: true });
    expect(quiet.messages.filter((message) => "stream" in message)).toEqual([
      { stream: `${quiet.image?.id}\n` },
    ]);
    const kept = await world.build(files, { noCache: true, remove: false });
    expect(kept.text).not.toContain("Removed");
  });
});

describe("COPY and ADD put files where docker does", () => {
  const context: Readonly<Record<string, ContextFile>> = {
    "a.txt": "A",
    "b.txt": "B",
    "run.sh": { type: "file", mode: 0o755, uid: 1000, gid: 1000 },
    "d/": "",
    "d/x": "X",
    "d/sub/y": "Y",
    "d/link": { type: "symlink", linkPath: "/etc/passwd" },
    into: { type: "symlink", linkPath: "d" },
    "t.tgz": gzipSync(contextTar({ "in/f": "F" })),
    "t.zst": zstdCompressSync(contextTar({ g: "G" })),
    "plain.gz": gzipSync("no tar"),
  };
  const cases: readonly (readonly [body: string, files: readonly string[]])[] = [
    ["COPY a.txt /new", ['new 644 0:0 "A"']],
    ["COPY a.txt /new/", ["new 755 0:0 dir", 'new/a.txt 644 0:0 "A"']],
    ["COPY a.txt /tmp", ['tmp/a.txt 644 0:0 "A"']],
    ["COPY a.txt b.txt /q/", ["q 755 0:0 dir", 'q/a.txt 644 0:0 "A"', 'q/b.txt 644 0:0 "B"']],
    ["COPY *.txt /q/", ["q 755 0:0 dir", 'q/a.txt 644 0:0 "A"', 'q/b.txt 644 0:0 "B"']],
    ["COPY run.sh /", ['run.sh 755 0:0 ""']],
    [
      "COPY d /q",
      [
        "q 755 0:0 dir",
        "q/link 777 0:0 -> /etc/passwd",
        "q/sub 755 0:0 dir",
        'q/sub/y 644 0:0 "Y"',
        'q/x 644 0:0 "X"',
      ],
    ],
    ["COPY into/x /", ['x 644 0:0 "X"']],
    ["COPY d/link /q", ["no image"]],
    ["WORKDIR /w\nCOPY a.txt .", ["w 755 0:0 dir", 'w/a.txt 644 0:0 "A"']],
    [
      "COPY --chown=5:6 --chmod=600 a.txt /q/z/",
      ["q 755 5:6 dir", "q/z 755 5:6 dir", 'q/z/a.txt 600 5:6 "A"'],
    ],
    ["RUN echo web:x:7:8::/:/bin/sh >> /etc/passwd\nCOPY --chown=web a.txt /q", ['q 644 7:8 "A"']],
    ["COPY --chown=nobody9 a.txt /q", ["no image"]],
    ["RUN ln -s /tmp /l\nCOPY a.txt /l/", ["l 777 0:0 -> /tmp", 'tmp/a.txt 644 0:0 "A"']],
    ["RUN ln -s ../../../../tmp /l\nCOPY d/x /l/", ["l 777 0:0 -> ../../../../tmp", 'tmp/x 644 0:0 "X"']],
    ["COPY a.txt /bin/sh/", ["no image"]],
    ["COPY d /bin/busybox", ["no image"]],
    [
      "COPY <<one <<'two' /q/\n$PWD-${NONE-x}\none\n$x\ntwo",
      ["q 755 0:0 dir", 'q/one 644 0:0 "-x\\n"', 'q/two 644 0:0 "$x\\n"'],
    ],
    ["COPY --chmod=700 <<EOF /q\nhi\nEOF", ['q 700 0:0 "hi\\n"']],
    ["ADD t.tgz /q", ["q 755 0:0 dir", "q/in 755 0:0 dir", 'q/in/f 644 0:0 "F"']],
    ["ADD --chown=3:4 t.zst /q/", ["q 755 3:4 dir", 'q/g 644 3:4 "G"']],
    [
      "ADD plain.gz a.txt /q/",
      [
        "q 755 0:0 dir",
        `q/a.txt 644 0:0 "A"`,
        `q/plain.gz 644 0:0 ${JSON.stringify(new TextDecoder().decode(gzipSync("no tar")))}`,
      ],
    ],
    ["COPY --from=busybox /bin/busybox /q/../bb", ["no content"]],
    ["COPY ../a.txt /", ["no image"]],
    ["COPY none /", ["no image"]],
    ["COPY *.none /", ["no image"]],
  ];

  test.each(cases)("%s", async (body, want) => {
    const { image, error } = await world.build({ ...context, Dockerfile: from(body) });
    if (want[0] === "no image") {
      expect(error?.message).toContain(body.startsWith("ADD") ? "ADD failed: " : "COPY failed: ");
      expect(error?.fields["line"]).toBe(2);
    } else if (want[0] === "no content") {
      expect(error).toBeUndefined();
      expect((await world.filesOf(image)).map((file) => file.split(" ").slice(0, 3).join(" "))).toEqual([
        "bb 755 0:0",
      ]);
    } else {
      expect(error?.message).toBeUndefined();
      expect(await world.filesOf(image)).toEqual(want);
    }
  });

  test("xz and bzip2 are refused with what to do instead; COPY takes them", async () => {
    const xz = Buffer.from("fd377a585a000004", "hex");
    const refused = await world.build({ "f.xz": xz, Dockerfile: from("ADD f.xz /") });
    expect(refused.error).toMatchObject({
      code: "unsupported",
      message: "ADD failed: ADD cannot unpack f.xz: it is compressed with xz",
    });
    expect((await world.build({ "f.xz": xz, Dockerfile: from("COPY f.xz /") })).error).toBeUndefined();
  });

  test("between stages owners stay, unless --chown says otherwise", async () => {
    const stage = "FROM busybox AS a\nRUN mkdir /o && echo 1 > /o/f && chown -R 8:9 /o\nFROM busybox\n";
    const kept = await world.build({ Dockerfile: `${stage}COPY --from=a /o /p` });
    expect(await world.filesOf(kept.image)).toEqual(["p 755 0:0 dir", 'p/f 644 8:9 "1\\n"']);
    const changed = await world.build({ Dockerfile: `${stage}COPY --from=0 --chown=1 /o/f /p` });
    expect(await world.filesOf(changed.image)).toEqual(['p 644 1:1 "1\\n"']);
  });
});

describe("the cache of COPY", () => {
  const dockerfile = from("COPY d /d");
  const build = async (file: ContextFile): Promise<boolean> =>
    (await world.build({ Dockerfile: dockerfile, "d/f": file })).text.includes("Using cache");

  test("knows content and mode, not times or other files", async () => {
    expect(await build("one")).toBe(false);
    expect(await build("one")).toBe(true);
    expect(await build("two")).toBe(false);
    expect(await build({ type: "file", mode: 0o600 })).toBe(false);
    expect(await build({ type: "file", mode: 0o600, mtimeNs: 7_000_000_000n })).toBe(true);
    const more = await world.build({ Dockerfile: dockerfile, "d/f": "one", other: "x" });
    expect(more.text).toContain("Using cache");
  });

  test("ADD does not take what COPY made of an archive", async () => {
    const t = contextTar({ f: "F" });
    await world.build({ t, Dockerfile: from("COPY t /x/") });
    expect(await world.filesOf((await world.build({ t, Dockerfile: from("ADD t /x/") })).image)).toEqual([
      "x 755 0:0 dir",
      'x/f 644 0:0 "F"',
    ]);
  });
});

test(".dockerignore leaves out, ! takes back, the Dockerfile's own file wins", async () => {
  const files = {
    "a.log": "",
    "keep.log": "",
    "n/b.log": "",
    "n/c": "",
    "x/y": "",
    Dockerfile: from("COPY . /c"),
  };
  const first = await world.build({
    ...files,
    ".dockerignore": "**/*.log\n!keep.log\nx\nDockerfile\n.dockerignore\n",
  });
  expect((await world.filesOf(first.image)).map((file) => file.split(" ")[0])).toEqual([
    "c",
    "c/keep.log",
    "c/n",
    "c/n/c",
  ]);
  const second = await world.build({ ...files, ".dockerignore": "*", "Dockerfile.dockerignore": "*\n!n" });
  expect((await world.filesOf(second.image)).map((file) => file.split(" ")[0])).toEqual([
    "c",
    "c/n",
    "c/n/b.log",
    "c/n/c",
  ]);
});

describe("RUN", () => {
  test.each([
    ["shell", 'SHELL ["/bin/busybox", "sh", "-ec"]\nRUN echo $0 > /o', '"sh\\n"'],
    ["exec form", 'RUN ["/bin/sh", "-c", "echo $# > /o", "z", "a b"]', '"1\\n"'],
    ["working directory", "WORKDIR /w/x\nRUN pwd > /o", '"/w/x\\n"'],
    ["arguments and environment", "ENV A=1\nARG B=2\nRUN echo $A$B > /o", '"12\\n"'],
    ["heredoc", "RUN <<E\nx=5\necho $x > /o\nE", '"5\\n"'],
    ["heredoc with a program", "RUN <<E\n#!/bin/cat\ntext\nE\nRUN ls -A / | grep gantry > /o; true", '""'],
    ["heredoc as input", "RUN cat > /o <<E\n$HOME!\nE", undefined],
  ])("%s", async (_, body, want) => {
    const { image, error } = await world.build({ Dockerfile: from(body) });
    expect(error?.message).toBeUndefined();
    const out = (await world.filesOf(image)).find((file) => file.startsWith("o "));
    if (want !== undefined) expect(out).toBe(`o 644 0:0 ${want}`);
    expect((await world.filesOf(image)).join()).not.toContain("gantry");
  });

  test("a failing command: docker's words, its code, no image, no leftovers", async () => {
    const { error, text } = await world.build(
      { Dockerfile: from("RUN echo out; exit 6") },
      { tags: ["wrong"] },
    );
    expect(error).toMatchObject({
      code: "invalid",
      message: "The command '/bin/sh -c echo out; exit 6' returned a non-zero code: 6",
    });
    expect(error?.fields).toEqual({ exitCode: 6, step: "2/2", line: 2 });
    expect(text).toEndWith(" ---> Running in CONTAINER\nout\n");
    expect(world.images.tryFind("wrong")).toBeUndefined();
    expect(world.leftovers()).toEqual([]);
  });

  test("no change makes no layer; removed files are gone; the request reaches the runner", async () => {
    const { image } = await world.build(
      { Dockerfile: from("RUN true\nRUN echo a > /f\nRUN rm /f") },
      { network: "host", extraHosts: ["a:1.2.3.4"], limits: { memoryBytes: 5 << 20 }, noCache: true },
    );
    expect(await world.filesOf(image)).toEqual([]);
    expect(image?.config.history.slice(-3).map((row) => row.empty_layer === true)).toEqual([
      true,
      false,
      false,
    ]);
    expect(world.runner.requests.at(-1)).toMatchObject({
      network: "host",
      extraHosts: ["a:1.2.3.4"],
      limits: { memoryBytes: 5 << 20 },
      user: "",
    });
  });

  test("canceling stops the command and removes everything", async () => {
    const control = new AbortController();
    const started = performance.now();
    setTimeout(() => control.abort(), 300);
    const { error } = await world.build({ Dockerfile: from("RUN sleep 60") }, {}, control.signal);
    expect(error?.code).toBe("canceled");
    expect(performance.now() - started).toBeLessThan(5000);
    expect(world.leftovers()).toEqual([]);
  });
});

describe("stages, triggers, arguments", () => {
  test("ONBUILD runs in the next build, as part of FROM", async () => {
    await world.build(
      { Dockerfile: from("ONBUILD COPY f /f\nONBUILD RUN cat /f > /g") },
      { tags: ["trigger"] },
    );
    const { text, image } = await world.build({ f: "F", Dockerfile: "FROM trigger\nUSER 5" });
    expect(text).toStartWith(
      "Step 1/2 : FROM trigger\n# Executing 2 build triggers\n ---> Running in CONTAINER\n ---> Removed intermediate container CONTAINER\n ---> IMAGE\nStep 2/2",
    );
    expect(await world.filesOf(image)).toEqual(['f 644 0:0 "F"', 'g 644 0:0 "F"']);
    expect(image?.config.config.OnBuild).toBeUndefined();
  });

  test("target ends early, labels go on the last stage", async () => {
    const { text, image } = await world.build(
      { Dockerfile: "FROM busybox AS a\nENV x=1\nFROM nowhere" },
      { target: "a", labels: { l: "v" } },
    );
    expect(text).toContain("Step 3/3 : LABEL l=v\n");
    expect(image?.config.config.Labels).toEqual({ l: "v" });
  });

  test("FROM alone is the base itself; scratch alone is nothing", async () => {
    expect((await world.build({ Dockerfile: "FROM busybox" }, { tags: ["same"] })).image?.id).toBe(
      world.images.find("busybox").id,
    );
    expect((await world.build({ Dockerfile: "FROM scratch" })).error?.message).toBe(
      "No image was generated. Is your Dockerfile empty?",
    );
  });
});

describe("refusals, before anything is done", () => {
  test.each([
    [
      { Dockerfile: from("RUNN x") },
      {},
      "invalid",
      "dockerfile parse error on line 2: unknown instruction: RUNN",
    ],
    [{ Dockerfile: "FROM nowhere" }, {}, "not-found", "No such image: nowhere"],
    [{ Dockerfile: " \n" }, {}, "invalid", "the Dockerfile (Dockerfile) cannot be empty"],
    [{ other: "" }, {}, "invalid", "Cannot locate specified Dockerfile: Dockerfile"],
    [{ Dockerfile: "FROM busybox" }, { dockerfile: "../x" }, "invalid", "must be within the build context"],
    [
      { Dockerfile: { type: "symlink", linkPath: "/etc/hostname" } as const },
      {},
      "invalid",
      "Cannot locate specified Dockerfile",
    ],
    [{ Dockerfile: "FROM busybox", ".dockerignore": "a\n[" }, {}, "invalid", ".dockerignore, line 2"],
    [{ Dockerfile: "FROM busybox" }, { tags: ["BAD"] }, "invalid", "must be lowercase"],
    [{ Dockerfile: "FROM busybox" }, { remote: "https://x/y" }, "unsupported", "remote context"],
    [{ Dockerfile: "FROM busybox" }, { platform: "linux/s390x" }, "unsupported", "linux/s390x"],
    [{ "../evil": "x", Dockerfile: "FROM busybox" }, {}, "corrupt", "leads outside"],
    [
      Buffer.from("not a tar at all, and too short".repeat(40)),
      {},
      "corrupt",
      "the build context cannot be unpacked",
    ],
    [
      gzipSync(contextTar({ Dockerfile: "FROM busybox" })).subarray(0, 60),
      {},
      "corrupt",
      "damaged or truncated",
    ],
  ])("%#", async (files, request, code, message) => {
    const { error } = await world.build(files, request);
    expect(error?.message).toContain(message);
    expect(String(error?.code)).toBe(code);
    expect(world.leftovers()).toEqual([]);
  });

  test("a link in the context leads nowhere outside of it", async () => {
    const inside = `gantry-evil-${process.pid}`;
    await world.build({
      l: { type: "symlink", linkPath: "/tmp" },
      [`l/${inside}`]: "x",
      Dockerfile: from("COPY . /c"),
    });
    expect(existsSync(`/tmp/${inside}`)).toBe(false);
    const read = await world.build({
      l: { type: "symlink", linkPath: "/etc" },
      Dockerfile: from("COPY l/hostname /c"),
    });
    expect(read.error?.code).toBe("not-found");
  });

  test("a compressed context and another Dockerfile are taken", async () => {
    const context = gzipSync(contextTar({ ".dockerfile.1234": "FROM busybox\nENV a=b" }));
    expect((await world.build(context, { dockerfile: ".dockerfile.1234" })).error).toBeUndefined();
  });
});

describe("ADD of a URL", () => {
  const content = gzipSync(contextTar({ f: "F" }));
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => {
      if (url.endsWith("/huge")) return new Response(new Uint8Array(2 << 20));
      return url.includes("/file.tgz") ? new Response(content) : new Response("no", { status: 404 });
    },
  });
  afterAll(() => server.stop(true));
  const url = (path: string): string => `http://127.0.0.1:${server.port}/${path}`;
  const sha = new Bun.CryptoHasher("sha256").update(content).digest("hex");

  test("is fetched as it is, mode 600, and checked", async () => {
    const { image, error } = await world.build({
      Dockerfile: from(`ADD --checksum=sha256:${sha} ${url("file.tgz")} /q/`),
    });
    expect(error?.message).toBeUndefined();
    expect((await world.filesOf(image)).map((file) => file.split(" ").slice(0, 3).join(" "))).toEqual([
      "q 755 0:0",
      "q/file.tgz 600 0:0",
    ]);
  });

  test.each([
    ["ADD URL/none /", "unavailable", "with status 404"],
    ["ADD URL/ /d/", "unavailable", "with status 404"],
    ["ADD URL/huge /", "exhausted", "larger than 1048576 bytes"],
    [`ADD --checksum=sha256:${"0".repeat(64)} URL/file.tgz /`, "corrupt", "has the checksum"],
    ["COPY URL/file.tgz /", "invalid", "source can't be a URL for COPY"],
    ["ADD https://example.com/x.git /", "unsupported", "cannot fetch the git repository"],
    ["ADD http://127.0.0.1:1/x /", "unavailable", "failed to GET"],
  ])("%s", async (body, code, message) => {
    const { error } = await world.build({ Dockerfile: from(body.replace("URL/", url(""))) });
    expect(error?.message).toContain(message);
    expect(String(error?.code)).toBe(code);
  });
});

test("what a crash left is removed at the next start, cached steps stay", async () => {
  const files = { Dockerfile: from("RUN echo crash > /f") };
  const { image } = await world.build(files);
  mkdirSync(`${world.buildRoot}/active/dead/layers/0/upper`, { recursive: true });
  writeFileSync(`${world.buildRoot}/active/dead/layers/0/upper/f`, "");
  world.builder = world.newBuilder();
  const again = await world.build(files);
  expect(String(again.image?.id)).toBe(String(image?.id));
  expect(world.leftovers()).toEqual([]);
});

test("kill -9 in the middle of a RUN leaves cache, no name, and nothing that the next start does not remove", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-killed-"));
  try {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "build-killed.ts"), dir], {
      stdout: "pipe",
      stderr: "inherit",
      detached: true,
    });
    let said = "";
    for await (const bytes of child.stdout) {
      said += Buffer.from(bytes).toString();
      if (said.includes("in the middle")) break;
    }
    process.kill(-child.pid, "SIGKILL");
    await child.exited;
    await using next = await BuildWorld.open(dir);
    expect(next.images.tryFind("killed")).toBeUndefined();
    const done = await next.build({ f: "F", Dockerfile: from("COPY f /f\nRUN echo end > /g") });
    expect(done.text).toContain("Step 2/3 : COPY f /f\n ---> Using cache\n");
    expect(await next.filesOf(done.image)).toEqual(['f 644 0:0 "F"', 'g 644 0:0 "end\\n"']);
    expect(next.leftovers()).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("builds at the same time do not disturb each other", async () => {
  const builds = ["1", "2", "3", "4"].map((n) =>
    world.build({ f: n, Dockerfile: from(`COPY f /f\nRUN cat /f > /g${n}`) }),
  );
  for (const [i, { image, error }] of (await Promise.all(builds)).entries()) {
    expect(error?.message).toBeUndefined();
    expect(await world.filesOf(image)).toEqual([`f 644 0:0 "${i + 1}"`, `g${i + 1} 644 0:0 "${i + 1}"`]);
  }
});

describe("a full disk", () => {
  let dir: string;
  let small: BuildWorld;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "gantry-full-"));
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", dir]).exitCode).toBe(0);
    small = await BuildWorld.open(dir);
  });
  afterAll(async () => {
    await small[Symbol.asyncDispose]();
    Bun.spawnSync(["umount", dir]);
    rmSync(dir, { recursive: true, force: true });
  });

  test("is named with the step, leaves nothing, and the next build goes well", async () => {
    const big = new Uint8Array(9 << 20).fill(1);
    const copied = await small.build({ big, Dockerfile: from("COPY big /a\nCOPY big /b\nCOPY big /c") });
    expect(copied.error?.code).toBe("exhausted");
    expect(copied.error?.message).toMatch(/^no space left on device in step \d\/4 : COPY big/);
    const ran = await small.build({ Dockerfile: from("RUN dd if=/dev/zero of=/f bs=1M count=50 2>&1") });
    expect(ran.error?.message).toContain("returned a non-zero code: 1");
    expect(ran.text).toContain("No space left on device");
    const context = await small.build({ big: new Uint8Array(30 << 20), Dockerfile: from("COPY big /a") });
    expect([context.error?.code, context.error?.message]).toEqual([
      "exhausted",
      expect.stringContaining("no space left"),
    ]);
    expect(small.leftovers()).toEqual([]);
    expect((await small.build({ Dockerfile: from("RUN echo fine > /f") })).error).toBeUndefined();
  });
});
