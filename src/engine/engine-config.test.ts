import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRegistriesConfig } from "../distribution/index.ts";
import { parseEngineConfig, readEngineConfig } from "./engine-config.ts";

test.each([
  ["", "an empty file"],
  ["# only words\n", "a comment"],
  ["registries: {}\n", "no registry"],
])("%j: nothing is configured (%s)", (text) =>
  expect(parseEngineConfig(text, "f")).toEqual({ registries: noRegistriesConfig }),
);

test.each([
  ["registrys: {}", 'f has no setting "registrys"'],
  ["- a", "f does not hold a map"],
  ["a: [", "f is not valid YAML"],
  ["registries: 7", "f: registries"],
  ["registries: {example.com: {mirror: []}}", "mirror"],
])("%j: %s", (text, says) => {
  expect(() => parseEngineConfig(text, "f")).toThrow(says);
});

test("a file that is named must be there; the usual one need not", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-config-"));
  try {
    expect(() => readEngineConfig(join(dir, "none.yaml"))).toThrow(`${dir}/none.yaml`);
    writeFileSync(join(dir, "some.yaml"), "registries:\n  localhost:5000:\n    insecure: true\n");
    expect(readEngineConfig(join(dir, "some.yaml"))).not.toEqual({ registries: noRegistriesConfig });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
