/** Facts: Dockerfile reference; for what it leaves open, BuildKit's parser. */
import { describe, expect, test } from "bun:test";
import { GantryError } from "../../lib/index.ts";
import type { Instruction } from "./instruction.ts";
import { parseDockerfile, parseTrigger } from "./parse-dockerfile.ts";

/** The instructions after FROM, without what only errors need. */
function parse(body: string): readonly object[] {
  const { stages } = parseDockerfile(`FROM base\n${body}`);
  return (stages[0]?.instructions ?? []).map(essence);
}

function essence(instruction: Instruction): object {
  return JSON.parse(JSON.stringify({ ...instruction, text: undefined, range: undefined }));
}

const shell = (text: string) => ({ form: "shell", args: [text] });
const exec = (...args: string[]) => ({ form: "exec", args });
const run = (command: object, more: object = {}) => ({
  kind: "run",
  command,
  heredocs: [],
  network: "default",
  ...more,
});
const copy = (sources: string[], destination: string, more: object = {}) => ({
  kind: "copy",
  sources,
  inline: [],
  destination,
  link: false,
  ...more,
});

describe("lines", () => {
  test.each([
    ["continuation", "RUN a \\\n  b", [run(shell("a   b"))]],
    ["spaces after the mark", "RUN a \\  \nb", [run(shell("a b"))]],
    ["a comment inside", "RUN a \\\n# no\n  && b", [run(shell("a   && b"))]],
    ["an empty line inside", "RUN a \\\n\n b", [run(shell("a  b"))]],
    [
      "an escaped backslash is no mark",
      "ENV A x\\\\\nENV B y",
      [
        { kind: "env", pairs: [{ key: "A", value: "x\\\\" }] },
        { kind: "env", pairs: [{ key: "B", value: "y" }] },
      ],
    ],
    ["the file ends in a mark", "RUN a \\", [run(shell("a"))]],
    ["CRLF", "RUN a \\\r\n b\r\nUSER u\r\n", [run(shell("a  b")), { kind: "user", user: "u" }]],
    ["lower case", "run a", [run(shell("a"))]],
    ["leading spaces and tabs", "  \tRUN\ta", [run(shell("a"))]],
    ["a hash later is no comment", "RUN echo # b", [run(shell("echo # b"))]],
  ])("%s", (_, body, want) => {
    expect(parse(body)).toEqual(want);
  });

  test("the escape directive makes a backtick the mark", () => {
    const { stages, escape } = parseDockerfile("# escape=`\nFROM base\nRUN dir `\n c:\\\n");
    expect(escape).toBe("`");
    expect(stages[0]?.instructions[0]).toMatchObject({ command: shell("dir  c:\\") });
  });

  test("a directive after a comment is a comment", () => {
    expect(parseDockerfile("# hi\n# escape=`\nFROM base\nRUN a \\\n b").escape).toBe("\\");
  });

  test("a byte order mark is skipped, an unknown frontend is warned about", () => {
    const { warnings, stages } = parseDockerfile("\uFEFF# syntax=docker/dockerfile:1\nFROM base");
    expect(stages).toHaveLength(1);
    expect(warnings[0]).toContain("syntax=docker/dockerfile:1");
  });
});

describe("instructions", () => {
  test.each([
    ["RUN shell", "RUN echo hi", run(shell("echo hi"))],
    ["RUN exec", 'RUN ["a", "b c"]', run(exec("a", "b c"))],
    ["RUN with what only looks like JSON", "RUN ['a']", run(shell("['a']"))],
    ["RUN --network", "RUN --network=none a", run(shell("a"), { network: "none" })],
    ["CMD empty exec", "CMD []", { kind: "cmd", command: exec() }],
    ["CMD shell", "CMD a | b", { kind: "cmd", command: shell("a | b") }],
    ["ENTRYPOINT", 'ENTRYPOINT ["/x"]', { kind: "entrypoint", command: exec("/x") }],
    ["SHELL", 'SHELL ["/bin/bash", "-c"]', { kind: "shell", args: ["/bin/bash", "-c"] }],
    [
      "ENV pairs",
      `ENV a=1 b="2 3" c=4\\ 5`,
      {
        kind: "env",
        pairs: [
          { key: "a", value: "1" },
          { key: "b", value: '"2 3"' },
          { key: "c", value: "4\\ 5" },
        ],
      },
    ],
    ["ENV old form", "ENV a  b c=d", { kind: "env", pairs: [{ key: "a", value: "b c=d" }] }],
    ["LABEL", "LABEL a.b=c", { kind: "label", pairs: [{ key: "a.b", value: "c" }], literal: false }],
    [
      "ARG",
      "ARG a b=c d=",
      { kind: "arg", args: [{ name: "a" }, { name: "b", value: "c" }, { name: "d", value: "" }] },
    ],
    ["EXPOSE", "EXPOSE 80 $P/udp", { kind: "expose", ports: ["80", "$P/udp"] }],
    ["VOLUME words", "VOLUME /a /b", { kind: "volume", paths: ["/a", "/b"] }],
    ["VOLUME JSON", 'VOLUME ["/a b"]', { kind: "volume", paths: ["/a b"] }],
    ["WORKDIR with a space", "WORKDIR /a b", { kind: "workdir", path: "/a b" }],
    ["USER", "USER a:b", { kind: "user", user: "a:b" }],
    ["STOPSIGNAL", "STOPSIGNAL SIGINT", { kind: "stopsignal", signal: "SIGINT" }],
    ["MAINTAINER", "MAINTAINER me <a@b>", { kind: "maintainer", name: "me <a@b>" }],
    ["COPY", "COPY a b /c/", copy(["a", "b"], "/c/")],
    ["COPY JSON", 'COPY ["a b", "c"]', copy(["a b"], "c")],
    [
      "COPY flags",
      "COPY --from=x --chown=1:2 --chmod=755 --link a b",
      copy(["a"], "b", { from: "x", chown: "1:2", chmod: "755", link: true }),
    ],
    ["COPY after --", "COPY -- --a b", copy(["--a"], "b")],
    [
      "ADD",
      "ADD --checksum=sha256:0 http://x/y /",
      {
        kind: "add",
        sources: ["http://x/y"],
        inline: [],
        destination: "/",
        link: false,
        checksum: "sha256:0",
      },
    ],
    ["ONBUILD", "ONBUILD  RUN a b", { kind: "onbuild", trigger: "RUN a b" }],
    ["HEALTHCHECK NONE", "HEALTHCHECK none", { kind: "healthcheck", check: { Test: ["NONE"] } }],
    [
      "HEALTHCHECK CMD",
      "HEALTHCHECK --interval=1m30s --retries=2 CMD a b",
      { kind: "healthcheck", check: { Test: ["CMD-SHELL", "a b"], Interval: 90e9, Retries: 2 } },
    ],
    [
      "HEALTHCHECK exec",
      'HEALTHCHECK --timeout=500ms CMD ["a"]',
      { kind: "healthcheck", check: { Test: ["CMD", "a"], Timeout: 5e8 } },
    ],
  ])("%s", (_, body, want) => {
    expect(parse(body)).toEqual([want]);
  });

  test("stages have lower-case names and their own instructions", () => {
    const { stages, metaArgs } = parseDockerfile(
      "ARG V=1\nFROM a:$V AS Build\nRUN x\nFROM --platform=linux/amd64 scratch\nCOPY --from=build / /",
    );
    expect(metaArgs[0]?.args).toEqual([{ name: "V", value: "1" }]);
    expect(stages.map((s) => [s.from.base, s.from.name, s.from.platform, s.instructions.length])).toEqual([
      ["a:$V", "build", undefined, 1],
      ["scratch", undefined, "linux/amd64", 1],
    ]);
  });
});

describe("heredocs", () => {
  test.each([
    [
      "plain",
      "RUN <<EOF\na $x\n# no comment\nEOF",
      [{ name: "EOF", content: "a $x\n# no comment\n", expand: true, chomp: false }],
    ],
    [
      "tabs taken off",
      "RUN <<-E\n\ta\n\t\tb\n\tE",
      [{ name: "E", content: "a\nb\n", expand: true, chomp: true }],
    ],
    [
      "quoted: not expanded",
      "RUN <<'E'\n$a\nE",
      [{ name: "E", content: "$a\n", expand: false, chomp: false }],
    ],
    [
      "with a file descriptor",
      "RUN cat 3<<E\nx\nE",
      [{ name: "E", content: "x\n", expand: true, chomp: false }],
    ],
    [
      "two",
      "RUN cat <<A <<B\nB\nA\nA\nB",
      [
        { name: "A", content: "B\n", expand: true, chomp: false },
        { name: "B", content: "A\n", expand: true, chomp: false },
      ],
    ],
    ["a space before the name", "RUN << E > f\nE", [{ name: "E", content: "", expand: true, chomp: false }]],
    ["quoted mark is none", 'RUN "<<E"', []],
    ["here-string is none", "RUN cat <<<E", []],
  ])("%s", (_, body, want) => {
    expect(parse(body)).toMatchObject([{ heredocs: want }]);
  });

  test("COPY takes files from the Dockerfile, between real sources", () => {
    expect(parse("COPY <<a.txt x <<'b' /d/\nA $x\na.txt\nB\nb")).toEqual([
      copy(["x"], "/d/", {
        inline: [
          { name: "a.txt", content: "A $x\n", expand: true },
          { name: "b", content: "B\n", expand: false },
        ],
      }),
    ]);
  });

  test("other instructions have none", () => {
    expect(parse("USER <<E")).toEqual([{ kind: "user", user: "<<E" }]);
  });

  test("a trigger keeps its heredoc, and is parsed again with it", () => {
    const [onbuild] = parse("ONBUILD RUN <<E\na\nE");
    expect(onbuild).toEqual({ kind: "onbuild", trigger: "RUN <<E\na\nE" });
    expect(essence(parseTrigger("RUN <<E\na\nE"))).toMatchObject({
      kind: "run",
      heredocs: [{ content: "a\n" }],
    });
  });
});

describe("errors show the place", () => {
  test.each([
    ["", 1, 1, "file with no instructions"],
    ["# only\n\n# comments\n", 1, 1, "file with no instructions"],
    ["RUN a", 1, 1, "no build stage in current context"],
    ["ARG a", 1, 1, "no build stage in current context"],
    ["FROM", 1, 5, "FROM requires either one or three arguments"],
    ["FROM a b", 1, 6, "FROM requires either one or three arguments"],
    ["FROM a AS 1x", 1, 11, "invalid name for build stage"],
    ["FROM a AS x\nFROM b AS X", 2, 1, 'duplicate stage name "x"'],
    ["FROM a\n\nFRO b", 3, 1, "unknown instruction: FRO (did you mean FROM?)"],
    ["FROM a\nRUN echo \\\n  a\n  WORKDR /", 4, 3, "unknown instruction: WORKDR (did you mean WORKDIR?)"],
    ["FROM a\nCOPY x", 2, 6, "COPY requires at least two arguments, but only one was provided"],
    ["FROM a\nCOPY --bad=1 x y", 2, 6, "unknown flag: --bad"],
    ["FROM a\nCOPY \\\n  --chown=1 --chown=2 x y", 3, 13, "duplicate flag specified: --chown"],
    ["FROM a\nCOPY --from x y", 2, 6, "missing a value on flag: --from"],
    ["FROM a\nCOPY --link=maybe x y", 2, 6, "expecting boolean value for flag --link"],
    ["FROM a\nRUN --mount=type=cache a", 2, 5, "the --mount option is not supported by this builder"],
    ["FROM a\nRUN --network=bridge a", 2, 5, "invalid network mode"],
    ["FROM a\nRUN", 2, 4, "RUN requires at least one argument"],
    ["FROM a\nENV A", 2, 5, "ENV must have two arguments"],
    ["FROM a\nENV A=1 B", 2, 9, 'can\'t find = in "B"'],
    ["FROM a\nENV =1", 2, 5, "ENV names can not be blank"],
    ["FROM a\nSHELL /bin/sh", 2, 7, "SHELL requires the arguments to be in JSON form"],
    ['FROM a\nVOLUME [""]', 2, 8, "VOLUME specified can not be an empty string"],
    ['FROM a\nCMD ["a", 1]', 2, 5, "arrays must be comprised of strings only"],
    ["FROM a\nONBUILD ONBUILD RUN a", 2, 9, "Chaining ONBUILD"],
    ["FROM a\nONBUILD FROM b", 2, 9, "FROM isn't allowed as an ONBUILD trigger"],
    ["FROM a\nONBUILD RUNN b", 2, 9, "unknown instruction: RUNN"],
    ["FROM a\nHEALTHCHECK CONNECT 80", 2, 13, 'Unknown type "CONNECT" in HEALTHCHECK'],
    ["FROM a\nHEALTHCHECK CMD", 2, 16, "Missing command after HEALTHCHECK CMD"],
    ["FROM a\nHEALTHCHECK --interval=1 CMD a", 2, 13, "invalid duration"],
    ["FROM a\nHEALTHCHECK --interval=1us CMD a", 2, 13, "cannot be less than 1ms"],
    ["FROM a\nRUN <<E\nx", 2, 1, "unterminated heredoc <<E"],
    ["# escape=x\nFROM a", 1, 1, "invalid escape token 'x'"],
    ["# escape=`\n# escape=`\nFROM a", 2, 1, "only one escape parser directive can be used"],
  ])("%j at %i:%i", (source, line, column, message) => {
    let thrown: unknown;
    try {
      parseDockerfile(source);
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof GantryError)) throw new Error(`no GantryError: ${String(thrown)}`);
    expect(thrown.code).toBe("invalid");
    expect(thrown.fields).toEqual({ line, column });
    expect(thrown.message).toContain(message);
    const [first, shown, caret] = thrown.message.split("\n");
    expect(first).toStartWith(`dockerfile parse error on line ${line}: `);
    expect(shown).toStartWith(` ${line} | `);
    expect(caret?.indexOf("^")).toBe(` ${line} | `.length + column - 1);
  });

  test("control characters of the source do not reach the terminal", () => {
    expect(() => parseDockerfile("FROM a\nBAD \u001B[2J\u0007")).toThrow(" 2 | BAD ?[2J?");
  });

  test("a trigger must be one instruction", () => {
    expect(() => parseTrigger("RUN a\nRUN b")).toThrow("single expression");
    expect(() => parseTrigger("FROM x")).toThrow("isn't allowed as an ONBUILD trigger");
  });

  test("a huge file is refused", () => {
    expect(() => parseDockerfile(`FROM a\n${"#".repeat(3 << 20)}`)).toThrow("at most");
  });
});
