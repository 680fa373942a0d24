/** The flags of `gantry engine`. Pure. */
import { snapshotters, type SnapshotterWish } from "../image/index.ts";
import { GantryError } from "../lib/index.ts";
import { defaultRoot, defaultState } from "./paths.ts";
import { parseAddRuntime } from "./runtimes.ts";

export interface EngineFlags {
  readonly root: string;
  readonly state: string;
  /** Addresses to listen on beside STATE/engine.sock. */
  readonly hosts: readonly string[];
  readonly debug: boolean;
  /** Of --add-runtime: name to path. */
  readonly runtimes: Readonly<Record<string, string>>;
  /** How new layers of images are kept. */
  readonly snapshotter: SnapshotterWish;
  /** Of --registry-mirror: `[HOST=]URL`. */
  readonly mirrors: readonly string[];
  /** Of --insecure-registry: hosts and subnets. */
  readonly insecureRegistries: readonly string[];
  /** The configuration file; undefined: the usual one, if it is there. */
  readonly config: string | undefined;
  readonly help: boolean;
}

type ValueFlag = "root" | "state" | "host" | "runtime" | "snapshotter" | "mirror" | "insecure" | "config";

const withValue: Readonly<Record<string, ValueFlag>> = {
  "--root": "root",
  "--state": "state",
  "--host": "host",
  "-H": "host",
  "--add-runtime": "runtime",
  "--snapshotter": "snapshotter",
  "--registry-mirror": "mirror",
  "--insecure-registry": "insecure",
  "--config": "config",
};

/** @throws {GantryError} "invalid", worded as docker words it */
export function parseEngineFlags(words: readonly string[]): EngineFlags {
  const values = { root: defaultRoot, state: defaultState };
  const hosts: string[] = [];
  const runtimes: Record<string, string> = {};
  const mirrors: string[] = [];
  const insecureRegistries: string[] = [];
  let snapshotter: SnapshotterWish = "auto";
  let config: string | undefined;
  let debug = false;
  let help = false;
  for (let i = 0; i < words.length; i++) {
    const { flag, value } = split(words[i] ?? "");
    const name = withValue[flag];
    if (name !== undefined) {
      const given = value ?? words[++i];
      if (given === undefined || given === "") throw invalid(`flag needs an argument: ${flag}`);
      if (name === "host") hosts.push(given);
      else if (name === "mirror") mirrors.push(given);
      else if (name === "insecure") insecureRegistries.push(given);
      else if (name === "config") config = given;
      else if (name === "snapshotter") snapshotter = parseSnapshotter(given);
      else if (name === "runtime") {
        const [key, path] = parseAddRuntime(given);
        runtimes[key] = path;
      } else values[name] = given;
    } else if (flag === "--debug" || flag === "-D") debug = booleanOf(flag, value);
    else if (flag === "--help" || flag === "-h") help = true;
    else
      throw invalid(
        flag.startsWith("-") ? `unknown flag: ${flag}` : `'engine' accepts no arguments: ${flag}`,
      );
  }
  return {
    root: clean(values.root),
    state: clean(values.state),
    hosts,
    debug,
    help,
    runtimes,
    snapshotter,
    mirrors,
    insecureRegistries,
    config,
  };
}

function parseSnapshotter(word: string): SnapshotterWish {
  const wish = (["auto", ...snapshotters] as const).find((name) => name === word);
  if (wish !== undefined) return wish;
  throw invalid(
    `invalid argument ${JSON.stringify(word)} for "--snapshotter" flag: auto, overlay or erofs is wanted`,
  );
}

/** `--flag=value` and `-Hvalue`. */
function split(word: string): { readonly flag: string; readonly value: string | undefined } {
  if (word.startsWith("-H") && word.length > 2) return { flag: "-H", value: word.slice(2).replace(/^=/, "") };
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at < 0 ? { flag: word, value: undefined } : { flag: word.slice(0, at), value: word.slice(at + 1) };
}

function booleanOf(flag: string, value: string | undefined): boolean {
  if (value === undefined || value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw invalid(`invalid argument ${JSON.stringify(value)} for "${flag}" flag: true or false is wanted`);
}

/** No slash at the end: the directories' names make the engine's instance name. */
function clean(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

function invalid(message: string): GantryError {
  return new GantryError("invalid", message, { hint: "see: gantry engine --help" });
}
