/**
 * An image's way from one machine to another, by our own programs only: bootstrap, build, push to our registry, pull into a
 * second store, run; and by a file, where there is no network. Root.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { TestEngine } from "../lib/engine.ts";
import { TestRegistry } from "../lib/registry.ts";

setDefaultTimeout(60_000);

const dir = mkdtempSync("/tmp/gantry-journey-");
const [here, there] = [new TestEngine("journey-here"), new TestEngine("journey-there")];
let registry: TestRegistry;
let image = "";
let digest = "";

/** What `image copy` leaves in /var/tmp. */
const scratches = (): readonly string[] =>
  readdirSync("/var/tmp").filter((name) => name.startsWith("gantry-copy-"));

beforeAll(async () => {
  registry = await TestRegistry.start(`${dir}/registry`);
  image = `127.0.0.1:${registry.port}/team/app`;
  await Promise.all([here.start(), there.start()]);
  here.ok("image", "bootstrap", "-q", "busybox");
  mkdirSync(`${dir}/context`);
  writeFileSync(
    `${dir}/context/Dockerfile`,
    'FROM busybox\nRUN mkdir -p /app && echo whole >/app/said && chown 5000 /app/said && chmod 4755 /bin/busybox\nUSER 5000\nCMD ["cat", "/app/said"]\n',
  );
  here.ok("build", "-q", "-t", `${image}:1`, `${dir}/context`);
}, 120_000);

afterAll(async () => {
  await Promise.all([here.uninstall(), there.uninstall()]);
  await registry.stop();
  rmSync(dir, { recursive: true, force: true });
}, 120_000);

const digestAt = (engine: TestEngine, name: string): string =>
  engine.ok("image", "inspect", "-f", "{{index .RepoDigests 0}}", name).replace(/^.*@/, "");

test("bootstrap, build, push; a second engine runs what it does not have yet", () => {
  digest = /digest: (sha256:[0-9a-f]{64})/.exec(here.ok("push", `${image}:1`))?.[1] ?? "";
  const { code, out, err } = there.run(["run", "--rm", `${image}:1`]);
  expect([code, out]).toEqual([0, "whole\n"]);
  expect(err).toStartWith(`Unable to find image '${image}:1' locally\n1: Pulling from team/app\n`);
  expect(digestAt(there, `${image}:1`)).toBe(digest);
  expect(there.ok("image", "inspect", "-f", "{{.Id}}", `${image}:1`)).toBe(
    here.ok("image", "inspect", "-f", "{{.Id}}", `${image}:1`),
  );
  expect(there.ok("run", "--rm", `${image}:1`, "stat", "-c", "%a %u", "/bin/busybox", "/app/said")).toBe(
    "4755 0\n644 5000",
  );
});

test("from registry to registry's other name, to a layout, to archives, to an engine: one digest", () => {
  const copy = (from: string, to: string): string => here.ok("image", "copy", "-q", from, to);
  expect(copy(`docker://${image}:1`, `docker://${image}-copy:2`)).toBe(digest);
  expect(copy(`docker://${image}-copy:2`, `oci:${dir}/layout:a`)).toBe(digest);
  expect(copy(`oci:${dir}/layout:a`, `oci-archive:${dir}/layout.tar:b`)).toBe(digest);
  expect(copy(`oci-archive:${dir}/layout.tar:b`, "gantry:copied:3")).toBe(digest);
  expect(copy("copied:3", `docker://${image}:4`)).toBe(digest);
  copy("copied:3", `docker-archive:${dir}/docker.tar:copied:5`);
  expect(there.ok("load", "-i", `${dir}/docker.tar`)).toBe("Loaded image: copied:5");
  expect(there.ok("run", "--rm", "copied:5")).toBe("whole");
  expect(here.ok("image", "tags", image)).toBe("1\n4");
  expect(scratches()).toEqual([]);
});

test("save --format oci keeps the digest, by way of a file and another engine to a registry", () => {
  here.ok("save", "--format", "oci", "-o", `${dir}/saved.tar`, `${image}:1`);
  there.run(["rmi", "-f", `${image}:1`, "copied:5"]);
  expect(there.ok("load", "-i", `${dir}/saved.tar`)).toContain(`Loaded image: ${image}:1`);
  there.ok("tag", `${image}:1`, `${image}:back`);
  expect(there.ok("push", `${image}:back`)).toContain(`back: digest: ${digest} `);
});

test("what a registry has, without pulling: manifest, platforms, tags, referrers; and what can be taken away", () => {
  const shown = JSON.parse(here.ok("image", "inspect", "--remote", `${image}:1`)) as Record<string, unknown>;
  expect(shown).toMatchObject({ Digest: digest, Tags: ["1", "4", "back"] });
  expect(here.ok("image", "inspect", "--remote", "--raw", `${image}:1`)).toContain('"schemaVersion":2');
  expect(JSON.parse(here.ok("manifest", "inspect", "-v", `${image}:1`))).toMatchObject({
    Ref: `${image}:1`,
    Descriptor: { digest, platform: { os: "linux" } },
  });
  expect(here.ok("image", "referrers", `${image}:1`)).toBe("DIGEST    ARTIFACT TYPE   SIZE");
  here.ok("image", "delete", "--tag", `${image}:4`);
  expect(here.ok("image", "tags", image)).toBe("1\nback");
  here.ok("image", "delete", `docker://${image}:1`);
  const gone = here.run(["image", "inspect", "--remote", `${image}:back`]);
  expect([gone.code, gone.err]).toEqual([1, expect.stringContaining("manifest unknown")]);
});

test("events tell of pulls and pushes by name", async () => {
  const actions = async (engine: TestEngine): Promise<string> => {
    const until = Math.ceil(Date.now() / 1000);
    const answer = await fetch(`http://engine/events?since=${until - 600}&until=${until}`, {
      unix: engine.socket,
    });
    const lines = (await answer.text()).trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { Action: string; Actor: { ID: string } });
    return events.map(({ Action, Actor }) => `${Action} ${Actor.ID}`).join("\n");
  };
  expect(await actions(here)).toContain(`push ${image}:1`);
  expect(await actions(there)).toContain(`pull ${image}:1`);
});

test("errors name what is wrong and what helps, and leave nothing", () => {
  const wrong = [
    { words: ["image", "copy", "nothere:1", `oci:${dir}/none`], says: "No such image: nothere:1" },
    { words: ["image", "copy", `oci:${dir}/none`, "x:1"], says: `${dir}/none` },
    { words: ["image", "copy", "--all", "--platform", "linux/arm64", "a", "b"], says: "exclude each other" },
    { words: ["image", "copy", "--jobs", "0", "a", "b"], says: "--jobs must be from 1 to 32" },
    { words: ["save", "--format", "zip", "-o", `${dir}/x`, "busybox"], says: "there are: docker oci" },
    { words: ["push", "--compression", "lzma", `${image}:1`], says: "there are: gzip zstd none" },
    { words: ["manifest", "inspect", `${image}:none`], says: `no such manifest: ${image}:none` },
  ];
  for (const { words, says } of wrong) {
    const { code, err } = here.run(words);
    expect([code, err]).toEqual([1, expect.stringContaining(says)]);
  }
  expect(existsSync(`${dir}/x`)).toBe(false);
  expect(scratches()).toEqual([]);
});
