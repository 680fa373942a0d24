/**
 * gantry-oci's command line beside runc's: the same words and exit codes where runc's are what callers look for. As root:
 * scripts/bun test test/system/oci-cli.test.ts
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { commands } from "../../src/runtime/oci/commands.ts";
import { type Answer, OciWorld } from "./oci-program.ts";

const own = new OciWorld();
const { world } = own;
const runcRoot = `${world.dir}/runc-state`;
const hasRunc = Bun.which("runc") !== null;

beforeAll(() => {
  own.bundle("up", ["sleep", "60"]);
  own.bundle("made", ["sleep", "60"]);
  own.bundle("over", ["true"]);
  for (const each of [ours, runc]) {
    if (each === runc && !hasRunc) continue;
    each("run", "-d", "-b", bundleOf(each, "up"), "up");
    each("create", "-b", bundleOf(each, "made"), "made");
    each("run", "-d", "-b", bundleOf(each, "over"), "over");
  }
});

afterAll(async () => {
  if (hasRunc) for (const id of ["up", "made", "over"]) runc("delete", "--force", id);
  await own.cleanUp();
});

const ours = (...words: string[]): Answer => own.call(...words);
const runc = (...words: string[]): Answer => own.plain({ program: ["runc"] }, "--root", runcRoot, ...words);

/** runc's container gets a bundle of its own with another cgroup. */
function bundleOf(each: typeof ours, name: string): string {
  const dir = `${world.dir}/${name}`;
  if (each === ours) return dir;
  const config = JSON.parse(readFileSync(`${dir}/config.json`, "utf8"));
  mkdirSync(`${dir}.runc`, { recursive: true });
  config.linux.cgroupsPath = `${own.cgroup(name)}-runc`;
  config.ociVersion = "1.0.2";
  writeFileSync(`${dir}.runc/config.json`, JSON.stringify(config));
  return `${dir}.runc`;
}

/** logrus's form without a terminal: `time="…" level=error msg="…"`. */
const plainWords = (stderr: string): string =>
  stderr
    .split("\n")
    .map((line) => /^time="[^"]*" level=\w+ msg=(".*"|\S+)$/.exec(line)?.[1] ?? line)
    .map((text) => (text.startsWith('"') ? String(JSON.parse(text)) : text))
    .join("\n")
    .replaceAll("runc", "gantry-oci")
    .replace(/\n+$/, "\n");

/** Without the hint, which runc has none of. */
const words = (stderr: string): string => stderr.replace(/^hint: .*\n/gm, "");

const firstLine = (text: string): string => text.split("\n")[0] ?? "";

const same: readonly (readonly string[])[] = [
  ["fly"],
  ["help", "fly"],
  ["state"],
  ["state", "a", "b"],
  ["state", "none"],
  ["state", ""],
  ["start"],
  ["start", "none"],
  ["start", "up"],
  ["start", "over"],
  ["kill"],
  ["kill", "none"],
  ["kill", "none", "KILL"],
  ["kill", "up", "0"],
  ["kill", "over", "KILL"],
  ["kill", "a", "b", "c"],
  ["delete"],
  ["delete", "none"],
  ["delete", "--force", "none"],
  ["delete", "none", "--force"],
  ["delete", "-f", "none"],
  ["delete", "up"],
  ["pause"],
  ["pause", "none"],
  ["pause", "over"],
  ["resume", "none"],
  ["resume", "up"],
  ["exec"],
  ["exec", "up"],
  ["exec", "none", "true"],
  ["exec", "over", "true"],
  ["exec", "up", "true"],
  ["exec", "up", "sh", "-c", "exit 17"],
  ["exec", "up", "sh", "-c", "kill -9 $$"],
  ["exec", "-u", "1:2", "up", "sh", "-c", "id -u; id -g"],
  ["exec", "--cwd", "/tmp", "-e", "A=b", "up", "sh", "-c", "pwd; echo $A"],
  ["exec", "up", "nope"],
  ["run"],
  ["run", "a", "b"],
  ["create"],
  ["create", "-b", "/", "fresh"],
  ["run", "-b", "/", "fresh"],
  ["ps"],
  ["list", "--format", "xml"],
  ["--log-format", "xml", "list"],
  ["delete", "--nope", "x"],
  ["delete", "--force=maybe", "x"],
  ["exec", "--preserve-fds", "x", "up", "true"],
  ["list", "--format"],
];

test.skipIf(!hasRunc).each(same.map((args) => [args.join(" "), args] as const))("%s", (_name, args) => {
  const [mine, theirs] = [ours(...args), runc(...args)];
  expect(mine.code, mine.stderr).toBe(theirs.code);
  expect(words(mine.stderr)).toBe(
    plainWords(theirs.stderr).replace("JSON specification file config", "JSON specification file /config"),
  );
  if (theirs.stdout.startsWith("Incorrect Usage"))
    expect(firstLine(mine.stdout).replace(/\.? .*/, "")).toBe(
      firstLine(theirs.stdout)
        .replace(/[.:]? .*/, "")
        .replace("Incorrect", "Incorrect"),
    );
  else expect(mine.stdout).toBe(theirs.stdout);
});

test("state prints runc's fields in runc's order, indented by two", () => {
  const { stdout } = ours("state", "up");
  expect(stdout).toBe(`${JSON.stringify(JSON.parse(stdout), undefined, 2)}\n`);
  const fields = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"];
  expect(Object.keys(JSON.parse(stdout))).toEqual(fields);
  if (hasRunc) expect(Object.keys(JSON.parse(runc("state", "up").stdout))).toEqual(fields);
});

test("help in all its forms ends well", () => {
  for (const args of [[], ["--help"], ["-h"], ["help"], ["h"]]) {
    const answer = ours(...args);
    expect(answer, args.join(" ")).toMatchObject({ code: 0, stderr: "" });
    expect(answer.stdout).toStartWith("NAME:\n   gantry-oci - Open Container Initiative runtime\n");
  }
  for (const name of Object.keys(commands))
    for (const args of [
      [name, "--help"],
      [name, "-h"],
      ["help", name],
    ]) {
      const answer = ours(...args);
      expect(answer, args.join(" ")).toMatchObject({ code: 0, stderr: "" });
      expect(answer.stdout).toContain(`gantry-oci ${name}`);
    }
});

test.skipIf(!hasRunc)("every flag of runc's is known", () => {
  for (const name of ["", ...Object.keys(commands)]) {
    const theirs = runc(...(name === "" ? [] : [name]), "--help");
    if (theirs.code !== 0) continue;
    const flags = [...theirs.stdout.matchAll(/^ {3}(--[\w-]+)(?: value)?(?:, (-\w))?/gm)];
    const mine = ours(...(name === "" ? [] : [name]), "--help").stdout;
    for (const [, long = "", short = ""] of flags) {
      if (long === "--help") continue;
      expect(mine, `${name} ${long}`).toMatch(new RegExp(`^ {3}${long}[ ,].*${short}`, "m"));
    }
  }
});

test("a wrong flag shows the command's help, too", () => {
  const answer = ours("delete", "--nope", "x");
  expect(answer.stdout).toStartWith(
    "Incorrect Usage: flag provided but not defined: -nope\n\nNAME:\n   gantry-oci delete",
  );
  expect(answer).toMatchObject({ code: 1, stderr: "flag provided but not defined: -nope\n" });
});

test("--version", () => {
  expect(ours("--version").stdout).toMatch(
    /^gantry-oci version \d+\.\d+\.\d+\n(commit: .+\n)?spec: 1\.3\.0\n/,
  );
  expect(ours("-v").stdout).toBe(ours("--version").stdout);
});

test("errors go to --log as well, one JSON object a line, appended", () => {
  const log = `${world.dir}/log.json`;
  for (let i = 0; i < 2; i++) {
    const answer = ours("--log", log, "--log-format", "json", "state", "none");
    expect(answer).toEqual({ code: 1, stdout: "", stderr: "container does not exist\n" });
  }
  const lines = readFileSync(log, "utf8").trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(JSON.parse(lines[1] ?? "")).toEqual({
    level: "error",
    msg: "container does not exist",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  });
  const text = `${world.dir}/log.text`;
  ours("--log", text, "state", "none");
  expect(readFileSync(text, "utf8")).toMatch(/^time="[^"]+" level=error msg="container does not exist"\n$/);
  ours("--debug", "--log", text, "run", "-b", `${world.dir}/over`, "dbg");
  expect(readFileSync(text, "utf8")).toContain("level=debug");
});

test("a log that cannot be written does not hide the error", () => {
  const answer = ours("--log", "/nonexistent/dir/log", "state", "none");
  expect(answer.code).toBe(1);
  expect(answer.stderr).toContain("container does not exist");
});

test("the root is made below XDG_RUNTIME_DIR for others than root", () => {
  const dir = `${world.dir}/xdg`;
  mkdirSync(dir);
  Bun.spawnSync(["chown", "65534:65534", dir]);
  const program = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", ...gantryProgram()];
  const answer = own.plain({ program, env: { XDG_RUNTIME_DIR: dir }, cwd: "/" }, "list", "-q");
  expect(answer).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(existsSync(`${dir}/gantry-oci`)).toBe(false);
});

/** A copy in a directory that everybody may read. */
function gantryProgram(): readonly string[] {
  const copy = `${world.dir}/gantry-oci`;
  Bun.spawnSync(["cp", process.env["GANTRY_OCI"] ?? `${import.meta.dir}/../../dist/gantry-oci`, copy]);
  Bun.spawnSync(["chmod", "755", world.dir, copy]);
  return [copy];
}
