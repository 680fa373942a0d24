import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseFlags } from "../flags/parse-flags.ts";
import { createFlags, runOnlyFlags } from "./create-flags.ts";
import recorded from "./docker-create.test-data.json" with { type: "json" };
import { parseCreate } from "./parse-create.ts";

interface Recorded {
  readonly args: readonly string[];
  readonly change?: Readonly<Record<string, unknown>> & { readonly HostConfig?: object };
  readonly error?: string;
}

const folder = mkdtempSync(join(tmpdir(), "cli-create-"));
/** Files that the recorded command lines name. */
const files: Readonly<Record<string, string>> = { envf: "A=1\n# c\nB\nC=x y \n", labf: "l1=v1\n" };

beforeAll(() => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  process.env["HOMEX"] = "hx";
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  delete process.env["HOMEX"];
});

function bodyOf([command = "", ...words]: readonly string[]): unknown {
  const table = command === "run" ? [...createFlags, ...runOnlyFlags] : createFlags;
  const located = words.map((word) => (Object.hasOwn(files, word) ? join(folder, word) : word));
  const { flags, args } = parseFlags(table, located, { stopAtArgument: true });
  return JSON.parse(JSON.stringify(parseCreate(flags, args[0] ?? "", args.slice(1))));
}

test.each((recorded.cases as readonly Recorded[]).map((one) => [one.args.join(" "), one] as const))(
  "as docker: %s",
  (_, one) => {
    if (one.error !== undefined) {
      expect(() => bodyOf(one.args)).toThrow(new Error(one.error));
      return;
    }
    const want = {
      ...recorded.plain,
      ...one.change,
      HostConfig: { ...recorded.plain.HostConfig, ...one.change?.HostConfig },
    };
    expect(bodyOf(one.args)).toEqual(want);
  },
);

test("a relative source of a bind mount begins at the working directory", () => {
  expect(bodyOf(["create", "-v", "./rel:/r", "x"])).toMatchObject({
    HostConfig: { Binds: [`${process.cwd()}/rel:/r`] },
  });
});

test("a label named __proto__ is a label", () => {
  const body = bodyOf(["create", "-l", "__proto__=x", "x"]) as { readonly Labels: object };
  expect(Object.keys(body.Labels)).toEqual(["__proto__"]);
});
