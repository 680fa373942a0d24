/** Security options, capabilities and devices. Pure but for seccomp profiles, which are files. */
import { CliError, FlagError } from "../errors.ts";
import { readUserFile } from "./read-files.ts";

export interface Security {
  readonly options: readonly string[];
  /** `systempaths=unconfined` was given: nothing is masked or read only. */
  readonly openPaths: boolean;
}

/** @throws {CliError} with docker's words */
export function parseSecurity(texts: readonly string[]): Security {
  const options: string[] = [];
  let openPaths = false;
  for (const text of texts) {
    if (text === "systempaths=unconfined") {
      openPaths = true;
      continue;
    }
    const at = text.search(/[=:]/);
    if (at < 0 && text !== "no-new-privileges")
      throw new CliError(`Invalid --security-opt: ${JSON.stringify(text)}`);
    const value = text.slice(at + 1);
    const isProfile =
      at > 0 && text.slice(0, at) === "seccomp" && value !== "unconfined" && value !== "builtin";
    options.push(isProfile ? `seccomp=${readProfile(value)}` : text);
  }
  return { options, openPaths };
}

function readProfile(path: string): string {
  let text: string;
  try {
    text = readUserFile(path);
  } catch (error) {
    if (error instanceof CliError)
      throw new CliError(`opening seccomp profile (${path}) failed: ${error.message}`);
    throw error;
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (error) {
    throw new CliError(
      `compacting json for seccomp profile (${path}) failed: ${error instanceof Error ? error.message : ""}`,
    );
  }
}

/** Names in capitals with CAP_ in front, sorted. What is in both lists is for the engine to settle. */
export function parseCapabilities(
  add: readonly string[],
  drop: readonly string[],
): readonly [add: string[] | null, drop: string[] | null] {
  const adds = normalize(add);
  const drops = normalize(drop);
  return [adds.length === 0 ? null : adds, drops.length === 0 ? null : drops];
}

function normalize(names: readonly string[]): string[] {
  const all = names
    .map((name) => name.trim().toUpperCase())
    .map((name) => (name === "ALL" || name.startsWith("CAP_") ? name : `CAP_${name}`));
  if (all.includes("ALL")) return ["ALL"];
  return [...new Set(all)].toSorted();
}

export interface Device {
  readonly PathOnHost: string;
  readonly PathInContainer: string;
  readonly CgroupPermissions: string;
}

const isMode = (mode: string): boolean => /^[rwm]{1,3}$/.test(mode) && new Set(mode).size === mode.length;

/** Checks the text of `--device-cgroup-rule` and keeps it. */
export function readDeviceRule(text: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text))
    throw new FlagError(`invalid device cgroup format '${text}'`);
  return text;
}

/** `host[:container][:rwm]`. @throws {CliError} with docker's words */
export function parseDevice(text: string): Device {
  const parts = text.split(":");
  const [host = "", second, third] = parts;
  if (parts.length > 3) throw new CliError(`bad format for path: ${text}`);
  const secondIsMode = second !== undefined && third === undefined && isMode(second);
  if (third !== undefined && !isMode(third)) throw new CliError(`bad mode specified: ${third}`);
  if (host === "" || second === "") throw new CliError(`bad format for path: ${text}`);
  const inside = second === undefined || secondIsMode ? host : second;
  if (!inside.startsWith("/")) throw new CliError(`${inside} is not an absolute path`);
  return {
    PathOnHost: host,
    PathInContainer: inside,
    CgroupPermissions: secondIsMode ? second : (third ?? "rwm"),
  };
}
