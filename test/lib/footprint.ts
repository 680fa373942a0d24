/** What one engine has on the machine and in its lists, as lines, so that a refused request can be proved to leave nothing. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestEngine } from "./engine.ts";

/** Directories of the data directory in which requests make things. */
const dataDirs = ["containers", "volumes", "layers", "ingest", "scratch", "build/active", "blobs/sha256"];

/** Everything that is no error message. */
export function footprint(engine: TestEngine): readonly string[] {
  const [root = "", state = ""] = [engine.places[1], engine.places[3]];
  const instance = createHash("sha256").update(`${root}\0${state}`).digest("hex").slice(0, 6);
  return [
    ...listed(engine, "container", "ps", "-aq", "--no-trunc"),
    ...listed(engine, "volume", "volume", "ls", "-q"),
    ...listed(engine, "network", "network", "ls", "-q"),
    ...listed(engine, "image", "images", "-a", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
    ...dataDirs.flatMap((dir) => entries(join(root, dir))),
    ...entries(join(state, "m")),
    ...entries("/sys/fs/cgroup").flatMap((hierarchy) => entries(`${hierarchy}/gantry-${instance}`)),
    ...entries(`/sys/fs/cgroup/gantry-${instance}`),
    ...links(instance),
    ...rules(instance),
  ];
}

/** The kernel takes the cable of an ended network namespace away in its own time: it has this long. */
const settleMs = 10_000;

/** The footprint once it is `before` again; else what it is in the end. */
export function settledFootprint(engine: TestEngine, before: readonly string[]): readonly string[] {
  const deadline = Date.now() + settleMs;
  let now = footprint(engine);
  for (; Date.now() < deadline && !Bun.deepEquals(now, before); now = footprint(engine)) Bun.sleepSync(20);
  return now;
}

function listed(engine: TestEngine, kind: string, ...words: string[]): string[] {
  const text = engine.ok(...words);
  return text === "" ? [] : text.split("\n").map((line) => `${kind} ${line}`);
}

function entries(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || !dir.startsWith("/sys"))
    .map(({ name }) => join(dir, name))
    .sort();
}

/** The engine's bridges and what is plugged into them. */
function links(instance: string): string[] {
  const net = "/sys/class/net";
  return readdirSync(net)
    .filter((name) => name.startsWith(`g${instance}`))
    .flatMap((name) => [`link ${name}`, ...entriesOf(`${net}/${name}/brif`).map((port) => `port ${port}`)]);
}

function entriesOf(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}

/** The engine's tables, with all rules and elements. */
function rules(instance: string): string[] {
  const tables = nft("list", "tables").filter((line) => line.includes(instance));
  return tables.flatMap((line) => nft("list", ...line.split(" ")));
}

function nft(...words: string[]): string[] {
  const done = Bun.spawnSync(["nft", ...words], { stdout: "pipe", stderr: "ignore" });
  return done.stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}
