import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseIgnoreRules } from "./ignore-rules.ts";
import { openContext } from "./open-context.ts";

const folder = mkdtempSync(join(tmpdir(), "cli-context-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ignored = [
  { rules: "*.md\n!README.md", yes: ["a.md"], no: ["README.md", "sub/a.md"] },
  { rules: "**/*.md", yes: ["a.md", "x/y/a.md"], no: ["a.mdx"] },
  { rules: "node_modules", yes: ["node_modules", "node_modules/x/y"], no: ["a/node_modules"] },
  { rules: "/a/../b/", yes: ["b", "b/c"], no: ["a"] },
  { rules: "# comment\n\n  temp?  ", yes: ["temp1"], no: ["temp", "temp12", "# comment"] },
  { rules: "*\n!src\nsrc/*.log", yes: ["x", "src/a.log"], no: ["src", "src/a.ts"] },
  { rules: "a[0-9]\n\\*x", yes: ["a1", "*x"], no: ["ab", "yx"] },
  { rules: "a(b+c).d$", yes: ["a(b+c).d$"], no: ["abc"] },
] as const;

test.each(ignored.map((one) => [one.rules, one] as const))("rules %j", (rules, { yes, no }) => {
  const parsed = parseIgnoreRules(rules, []);
  expect(yes.filter((path) => !parsed.ignores(path))).toEqual([]);
  expect(no.filter((path) => parsed.ignores(path))).toEqual([]);
});

test("a folder left out is skipped unless something below it may come back", () => {
  const rules = parseIgnoreRules("a\nb\n!b/keep", []);
  expect(rules.skips("a")).toBe(true);
  expect(rules.skips("b")).toBe(false);
});

const longName = `${"long-".repeat(30)}ü.txt`;

test("GNU tar reads the archive: names, modes, links, contents; the Dockerfile is always there", async () => {
  mkdirSync(join(folder, "sub/deep"), { recursive: true });
  writeFileSync(join(folder, "Dockerfile"), "FROM scratch\n");
  writeFileSync(join(folder, ".dockerignore"), "*.secret\nDockerfile\nsub/deep\n");
  writeFileSync(join(folder, "a.secret"), "no");
  writeFileSync(join(folder, "run.sh"), "x".repeat(1000));
  chmodSync(join(folder, "run.sh"), 0o755);
  writeFileSync(join(folder, "sub", longName), "long");
  symlinkSync("../run.sh", join(folder, "sub/link"));
  const context = await openContext(folder, "");
  const archive = await new Response(context.open()).bytes();
  const tar = (...words: string[]): string =>
    Bun.spawnSync(["tar", ...words], {
      stdin: archive,
      env: { LC_ALL: "C.UTF-8", TZ: "UTC" },
    }).stdout.toString();
  expect(context.dockerfile).toBe("Dockerfile");
  expect(tar("--quoting-style=literal", "-t").trim().split("\n")).toEqual([
    ".dockerignore",
    "Dockerfile",
    "run.sh",
    "sub/",
    "sub/link",
    `sub/${longName}`,
  ]);
  expect(tar("-tv", "--numeric-owner")).toMatch(/^-rwxr-xr-x 0\/0\s+1000 .* run\.sh$/m);
  expect(tar("-xO", "run.sh")).toBe("x".repeat(1000));
  expect(tar("-tv")).toContain("sub/link -> ../run.sh");
});

test("names and links that are not UTF-8 are sent byte for byte", async () => {
  const own = mkdtempSync(join(tmpdir(), "cli-context-"));
  const name = Buffer.concat([Buffer.from(`${own}/`), Buffer.from("caf\xe9", "latin1")]);
  writeFileSync(name, "x");
  symlinkSync(Buffer.from("caf\xe9", "latin1"), join(own, "link"));
  writeFileSync(join(own, "Dockerfile"), "FROM scratch");
  const context = await openContext(own, "");
  const archive = await new Response(context.open()).bytes();
  const listed = Bun.spawnSync(["tar", "-tv"], { stdin: archive, env: { LC_ALL: "C" } });
  rmSync(own, { recursive: true });
  expect(listed.stdout.toString()).toContain(" caf\\351\n");
  expect(listed.stdout.toString()).toContain(" link -> caf\\351\n");
});

test("a Dockerfile from elsewhere travels along", async () => {
  const other = mkdtempSync(join(tmpdir(), "cli-context-"));
  writeFileSync(join(other, "D"), "FROM x\n");
  const context = await openContext(folder, join(other, "D"));
  rmSync(other, { recursive: true });
  const archive = await new Response(context.open()).bytes();
  expect(Bun.spawnSync(["tar", "-xO", context.dockerfile], { stdin: archive }).stdout.toString()).toBe(
    "FROM x\n",
  );
});

test("a folder without a Dockerfile, and a Dockerfile that is a folder", async () => {
  const bare = mkdtempSync(join(folder, "bare-"));
  await expect(openContext(bare, "")).rejects.toThrow(`lstat ${bare}/Dockerfile: no such file or directory`);
  mkdirSync(join(bare, "Dockerfile"));
  await expect(openContext(bare, "")).rejects.toThrow(`the Dockerfile is a directory: ${bare}/Dockerfile`);
});

test.each([
  ["/nonexistent", "", "not found"],
  ["https://example.com/x.git", "", "does not build from URLs"],
  ["-", "-", "both build context and dockerfile"],
])("refuses %s with -f %j", async (where, file, message) => {
  await expect(openContext(where, file)).rejects.toThrow(message);
});
