import { describe, expect, test } from "bun:test";
import { GantryError } from "../../lib/index.ts";
import { parseDockerfile } from "../dockerfile/parse-dockerfile.ts";
import { BuildArgs, platformArgs } from "./build-args.ts";
import { defaultPath } from "./env-list.ts";
import { type BaseImage, outlineBuild, planBuild } from "./plan-build.ts";
import type { BuildPlan, CopyAction, PlannedStep, RunAction } from "./step.ts";

const path = `PATH=${defaultPath}`;

interface Given {
  readonly args?: Record<string, string | null>;
  readonly labels?: Record<string, string>;
  readonly target?: string;
  readonly base?: Partial<BaseImage>;
}

function plan(text: string, given: Given = {}): BuildPlan {
  const dockerfile = parseDockerfile(text);
  const args = new BuildArgs(given.args ?? {}, platformArgs("amd64"));
  const outline = outlineBuild(dockerfile, {
    args,
    labels: given.labels ?? {},
    target: given.target ?? "",
    platform: "linux/amd64",
  });
  const base: BaseImage = { config: {}, author: undefined, ...given.base };
  const bases = new Map(
    outline.stages.flatMap((s) => (s.base.kind === "image" ? [[s.base.reference, base] as const] : [])),
  );
  return planBuild(dockerfile, outline, bases, args);
}

const stepsOf = (body: string, given?: Given): readonly PlannedStep[] =>
  plan(`FROM base\n${body}`, given).stages[0]?.steps ?? [];
const lastOf = (body: string, given?: Given): PlannedStep => {
  const step = stepsOf(body, given).at(-1);
  if (step === undefined) throw new Error("no step");
  return step;
};
const commentOf = (body: string, given?: Given): string => {
  const { action } = lastOf(body, given);
  return action.do === "config" ? action.comment : `${action.do}`;
};
const runOf = (body: string, given?: Given): RunAction => {
  const { action } = lastOf(body, given);
  if (action.do !== "run") throw new Error("not a RUN");
  return action;
};
const copyOf = (body: string, given?: Given): CopyAction => {
  const { action } = lastOf(body, given);
  if (action.do !== "copy") throw new Error("not a COPY");
  return action;
};

describe("configuration", () => {
  test.each([
    ["ENV a=1 b=2", "ENV a=1 b=2", { Env: [path, "a=1", "b=2"] }],
    ["ENV a=1\nENV a=2 b=$a", "ENV a=2 b=1", { Env: [path, "a=2", "b=1"] }],
    ["ENV PATH=/x:$PATH", `ENV PATH=/x:${defaultPath}`, { Env: [`PATH=/x:${defaultPath}`] }],
    ["LABEL a=1 b='2 3'", "LABEL a=1 b=2 3", { Labels: { a: "1", b: "2 3" } }],
    ["CMD echo $x", 'CMD ["/bin/sh" "-c" "echo $x"]', { Cmd: ["/bin/sh", "-c", "echo $x"] }],
    ['CMD ["a", "b"]', 'CMD ["a" "b"]', { Cmd: ["a", "b"] }],
    ['SHELL ["/bin/bash", "-ec"]\nCMD x', 'CMD ["/bin/bash" "-ec" "x"]', { Cmd: ["/bin/bash", "-ec", "x"] }],
    ['ENTRYPOINT ["/e"]', 'ENTRYPOINT ["/e"]', { Entrypoint: ["/e"] }],
    ['CMD ["c"]\nENTRYPOINT ["/e"]', 'ENTRYPOINT ["/e"]', { Entrypoint: ["/e"], Cmd: ["c"] }],
    ["EXPOSE 443 80/UDP", "EXPOSE 443 80/UDP", { ExposedPorts: { "443/tcp": {}, "80/udp": {} } }],
    ['ENV P="80 81"\nEXPOSE $P', "EXPOSE 80 81", { ExposedPorts: { "80/tcp": {}, "81/tcp": {} } }],
    [
      "EXPOSE 8000-8002",
      "EXPOSE 8000-8002",
      { ExposedPorts: { "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {} } },
    ],
    ["VOLUME /a /b", "VOLUME [/a /b]", { Volumes: { "/a": {}, "/b": {} } }],
    ["ARG U=me\nUSER $U:x", "USER me:x", { User: "me:x" }],
    ["STOPSIGNAL SIGINT", "STOPSIGNAL SIGINT", { StopSignal: "SIGINT" }],
    ['SHELL ["a", "-c"]', "SHELL [a -c]", { Shell: ["a", "-c"] }],
    ["ONBUILD RUN x", "ONBUILD RUN x", { OnBuild: ["RUN x"] }],
    [
      "HEALTHCHECK NONE",
      `HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" '\\x00'}`,
      { Healthcheck: { Test: ["NONE"] } },
    ],
    ["ARG a=1 b\nARG c=$a", "ARG c=1", {}],
    ["MAINTAINER me", "MAINTAINER me", {}],
  ])("%j", (body, comment, config) => {
    const given = { base: { config: { Cmd: ["base"] } } };
    expect(commentOf(body, given)).toBe(comment);
    expect(lastOf(body, given).config).toMatchObject(config);
  });

  test.each([
    ["WORKDIR /a\nWORKDIR b/../c", "/a/c"],
    ["WORKDIR a", "/a"],
    ["ENV D=/x\nWORKDIR $D/y/", "/x/y"],
    ["WORKDIR ../..", "/"],
  ])("%j leads to %s", (body, want) => {
    const step = lastOf(body);
    expect(step.action).toEqual({ do: "workdir", path: want });
    expect(step.config.WorkingDir).toBe(want);
  });

  test("a second health check says that it overrides the first", () => {
    const notes = stepsOf("HEALTHCHECK CMD a\nHEALTHCHECK CMD b").map((step) => step.notes);
    expect(notes).toEqual([[], ["Note: overriding previous HEALTHCHECK: [CMD-SHELL a]"]]);
  });

  test("ENTRYPOINT drops the base's command, not the stage's own", () => {
    const given = { base: { config: { Cmd: ["base"] } } };
    expect(lastOf('ENTRYPOINT ["/e"]', given).config.Cmd).toBeUndefined();
    expect(lastOf('CMD ["own"]\nENTRYPOINT ["/e"]', given).config.Cmd).toEqual(["own"]);
  });

  test("the author stays from MAINTAINER on", () => {
    expect(stepsOf("MAINTAINER me\nENV a=b").map((step) => step.author)).toEqual(["me", "me"]);
  });
});

describe("RUN", () => {
  test.each([
    ["RUN a", ["/bin/sh", "-c", "a"], ["/bin/sh", "-c", "a"]],
    ['RUN ["a", "b"]', ["a", "b"], ["a", "b"]],
    ["ARG A=1\nARG B\nRUN a", ["/bin/sh", "-c", "a"], ["|1", "A=1", "/bin/sh", "-c", "a"]],
    ["RUN <<E\na\nb\nE", ["/bin/sh", "-c", "a\nb\n"], ["/bin/sh", "-c", "a\nb\n"]],
    ["RUN cat <<E > f\na\nE", ["/bin/sh", "-c", "cat <<E > f\na\nE"], ["/bin/sh", "-c", "cat <<E > f\na\nE"]],
    ["RUN <<E\n#!/bin/x\na\nE", ["/.gantry-heredoc"], ["/bin/sh", "-c", "#!/bin/x\na\n"]],
  ])("%j", (body, args, command) => {
    expect(runOf(body)).toMatchObject({ args, command });
  });

  test("sees the environment, then build arguments; proxies are not in the cache key", () => {
    const run = runOf("ENV A=env\nARG A=arg\nARG B=b\nUSER u\nWORKDIR /w\nRUN --network=none x", {
      args: { http_proxy: "p" },
    });
    expect(run.env).toEqual([path, "A=env", "B=b", "http_proxy=p"]);
    expect(run.command).toEqual(["|1", "B=b", "/bin/sh", "-c", "x"]);
    expect([run.user, run.workingDir, run.network]).toEqual(["u", "/w", "none"]);
  });
});

describe("COPY and ADD", () => {
  test("words are expanded, flags read", () => {
    expect(copyOf("ARG D=/d\nWORKDIR /w\nCOPY --chown=$D:1 --chmod=0750 ${D}/a b $D/")).toEqual({
      do: "copy",
      instruction: "COPY",
      sources: ["/d/a", "b"],
      inline: [],
      destination: "/d/",
      workingDir: "/w",
      chown: "/d:1",
      chmod: 0o750,
      from: { kind: "context" },
      checksum: undefined,
    });
  });

  test("an inline file is expanded unless its mark is quoted", () => {
    expect(copyOf("ENV x=1\nCOPY <<a <<'b' /\n\"$x\"\na\n$x\nb").inline).toEqual([
      { name: "a", content: '"1"\n' },
      { name: "b", content: "$x\n" },
    ]);
  });

  test.each([
    ["FROM a AS one\nFROM b\nCOPY --from=ONE x y", { kind: "stage", index: 0 }],
    ["FROM a\nFROM b\nFROM c\nCOPY --from=1 x y", { kind: "stage", index: 1 }],
    ["FROM a\nCOPY --from=busybox:1 x y", { kind: "image", reference: "busybox:1" }],
  ])("%j", (text, from) => {
    expect(plan(text).stages.at(-1)?.steps[0]?.action).toMatchObject({ from });
  });
});

describe("stages", () => {
  test("FROM: meta arguments, stages before, scratch; a later stage inherits the configuration", () => {
    const { stages, total, metaTitles } = plan(
      "ARG V=1\nFROM base:$V AS a\nENV x=1\nFROM scratch\nFROM a\nUSER u",
    );
    expect(stages.map((stage) => stage.base)).toEqual([
      { kind: "image", reference: "base:1" },
      { kind: "scratch" },
      { kind: "stage", index: 0 },
    ]);
    expect(stages[2]?.config).toEqual({ Env: [path, "x=1"], User: "u" });
    expect([total, metaTitles]).toEqual([6, ["ARG V=1"]]);
  });

  test.each([["b"], ["B"], ["1"]])("target %s ends the plan", (target) => {
    expect(plan("FROM a AS a\nFROM b AS b\nFROM c AS c", { target }).stages).toHaveLength(2);
  });

  test("labels of the client are a last step of the last stage, not expanded, sorted", () => {
    const step = plan("FROM a\nUSER u", { labels: { z: "$x", a: "1" } }).stages[0]?.steps.at(-1);
    expect(step?.title).toBe("LABEL a=1 z=$x");
    expect(step?.config.Labels).toEqual({ a: "1", z: "$x" });
  });

  test("triggers of the base come first, are taken off, and see the stage", () => {
    const base = { config: { OnBuild: ["COPY . /app", "ENV a=1", "CMD x"], Cmd: ["old"] } };
    const stage = plan('FROM base\nENTRYPOINT ["e"]', { base }).stages[0];
    expect(stage?.triggers.map((step) => [step.title, step.action.do])).toEqual([
      [undefined, "copy"],
      [undefined, "config"],
      [undefined, "config"],
    ]);
    expect(stage?.config).toEqual({ Cmd: ["/bin/sh", "-c", "x"], Entrypoint: ["e"], Env: [path, "a=1"] });
  });

  test("unused arguments are told", () => {
    expect(plan("FROM a\nARG A", { args: { A: "1", X: "2" } }).unusedArgs).toEqual(["X"]);
  });

  test("platform of FROM: ours in any spelling", () => {
    expect(
      plan("FROM --platform=$BUILDPLATFORM a\nFROM --platform=amd64 b\nFROM --platform=linux/amd64/v2 c")
        .stages,
    ).toHaveLength(3);
  });
});

describe("errors show line and column before anything is done", () => {
  test.each([
    ["FROM a\nRUN x\nENV a=${b?none}", "line 3: b: none"],
    ["FROM a\nENV a='", "line 2: unexpected end of statement while looking for matching single-quote"],
    ["FROM ${x}", "line 1: base name (${x}) should not be blank"],
    ["FROM a\nCOPY --from=0 x y", "line 2: invalid from flag value 0: refers to current build stage"],
    ["FROM a\nCOPY --from=5 x y", "line 2: invalid from flag value 5"],
    ["FROM a\nCOPY --chmod=u+x x y", "line 2: invalid chmod parameter: 'u+x'"],
    ["FROM a\nCOPY a b c", "line 2: When using COPY with more than one source file"],
    ["FROM a\nADD --checksum=sha256:12 https://x/y /", "line 2: invalid checksum"],
    ["FROM a\nADD --checksum=sha256:12 y /", "line 2: checksum can't be specified"],
    ["FROM a\nEXPOSE 99999", "line 2: invalid containerPort: 99999"],
    ["FROM a\nEXPOSE 80/xyz", "line 2: invalid containerPort"],
    ["FROM a\nSTOPSIGNAL ;rm", "line 2: invalid signal: ;rm"],
    ["FROM a\nSTOPSIGNAL FOO", "line 2: invalid signal: FOO"],
    ["FROM --platform=linux/s390x a", "line 1: platform linux/s390x cannot be built here"],
    ["FROM a\nWORKDIR $nothing", "line 2: cannot normalize nothing"],
    ["FROM a\nCOPY <<../x /d\nx\n../x", "line 2: the name of a heredoc is a file name"],
  ])("%j", (text, message) => {
    expect(() => plan(text)).toThrow(GantryError);
    expect(() => plan(text)).toThrow(message);
  });

  test("a hostile number of variables is refused in time", () => {
    const pairs = Array.from({ length: 100_000 }, (_, i) => `v${i}=1`).join(" ");
    const start = performance.now();
    expect(() => plan(`FROM a\nENV ${pairs}`)).toThrow("take too long to expand");
    expect(performance.now() - start).toBeLessThan(4000);
  });

  test("a target that does not exist names those that do", () => {
    expect(() => plan("FROM a AS one", { target: "two" })).toThrow('target stage "two" could not be found');
  });
});
