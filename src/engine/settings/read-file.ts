/** The engine's configuration file, YAML with the catalogue's keys; dockerd's daemon.json is one, too. */
import { readFileSync } from "node:fs";
import { GantryError, isErrno, messageOf, toGantryError } from "../../lib/index.ts";
import { settingOf } from "./catalogue.ts";
import { type Given, type GivenMap, isMap } from "./given.ts";
import { lineOfKey } from "./line-of-key.ts";

const usualPath = "/etc/gantry/config.yaml";

/**
 * @param path undefined: the usual file, which need not be there
 * @throws {GantryError} "not-found", "invalid", naming the file, the line and the key
 */
export function readFile(path: string | undefined): GivenMap {
  const file = path ?? usualPath;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (path === undefined && isErrno(error, "ENOENT", "ENOTDIR")) return new Map();
    throw toGantryError(error, `read the configuration file ${file}`);
  }
  return parseFile(text, file);
}

/** @throws {GantryError} "invalid" */
export function parseFile(text: string, file: string): GivenMap {
  const value = parseText(text, file);
  if (value === null || value === undefined) return new Map();
  if (!isMap(value)) throw new GantryError("invalid", `${file} does not hold a map`);
  const given = new Map<string, Given>();
  for (const [key, item] of Object.entries(value)) {
    const place = `${file}:${lineOfKey(text, key)}`;
    const set = (name: string, inner: unknown): void => {
      const setting = settingOf(name);
      if (setting === undefined) throw unknownKey(place, name);
      if (given.has(setting.key)) throw new GantryError("invalid", `${place}: ${setting.key} is set twice`);
      given.set(setting.key, { value: inner, where: `${place}: ${name}` });
    };
    if (key === "proxies" && isMap(item)) {
      for (const [name, proxy] of Object.entries(item)) {
        if (!/^(?:https?|no)-proxy$/.test(name)) throw unknownKey(place, `proxies.${name}`);
        set(name, proxy);
      }
    } else set(key, item);
  }
  return given;
}

/** JSON is tried first: it is YAML, too, but its own parser knows the line. */
function parseText(text: string, file: string): unknown {
  const isJson = text.trimStart().startsWith("{");
  try {
    return isJson ? JSON.parse(text) : Bun.YAML.parse(text);
  } catch (cause) {
    const kind = isJson ? "JSON" : "YAML";
    throw new GantryError("invalid", `${file} is not valid ${kind}: ${messageOf(cause)}`, { cause });
  }
}

function unknownKey(place: string, key: string): GantryError {
  return new GantryError("invalid", `${place}: there is no setting ${JSON.stringify(key.slice(0, 100))}`, {
    hint: "the settings are the flags of gantry engine --help, and registries, by the names of dockerd's daemon.json",
  });
}
