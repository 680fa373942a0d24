/** Flags and file together. */
import { homedir } from "node:os";
import { join } from "node:path";
import { GantryError } from "../../lib/index.ts";
import { settings } from "./catalogue.ts";
import type { EngineSettings } from "./engine-settings.ts";
import { type Given, type GivenMap, isMap, Values } from "./given.ts";
import { readFile } from "./read-file.ts";
import type { Words } from "./read-flags.ts";
import { resolveSettings } from "./resolve.ts";

export interface ReadSettings {
  readonly given: GivenMap;
  readonly settings: EngineSettings;
}

/** @throws {GantryError} "invalid", "not-found" … for a file, a flag or the two together */
export function readSettings(words: Pick<Words, "given" | "config">): ReadSettings {
  const given = merge(words.given, readFile(words.config));
  const certificates = process.env["DOCKER_CERT_PATH"] || join(homedir(), ".docker");
  return { given, settings: resolveSettings(new Values(given), { certificates }) };
}

/** Both: refused, as dockerd does. Names of runtimes may come from either. Pure. */
export function merge(flags: GivenMap, file: GivenMap): GivenMap {
  const both = [...flags].filter(([key]) => file.has(key) && key !== "runtimes");
  if (both.length > 0) {
    const say = (given: Given | undefined): string => JSON.stringify(given?.value);
    const list = both.map(
      ([key, flag]) => `${key}: (from flag: ${say(flag)}, from file: ${say(file.get(key))})`,
    );
    const place = file.get(both[0]?.[0] ?? "")?.where ?? "";
    throw new GantryError(
      "invalid",
      `the following directives are specified both as a flag and in the configuration file: ${list.join(", ")}`,
      { hint: `take it out of the flags or of ${place}` },
    );
  }
  const merged = new Map([...file, ...flags]);
  const [flag, item] = [flags.get("runtimes"), file.get("runtimes")];
  if (flag !== undefined && isMap(flag.value) && isMap(item?.value))
    merged.set("runtimes", { ...flag, value: { ...item.value, ...flag.value } });
  return merged;
}

/** The settings that differ and cannot change while the engine runs. Pure. */
export function restartKeys(before: GivenMap, after: GivenMap): readonly string[] {
  return settings
    .filter(
      ({ key, live }) => live !== true && !Bun.deepEquals(before.get(key)?.value, after.get(key)?.value),
    )
    .map(({ key }) => key);
}
