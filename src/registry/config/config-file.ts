/**
 * The configuration file: YAML whose keys are the flags. A key that is not known, or stands twice, is refused with its line:
 * a misspelt `tls-cert` must not mean plain HTTP.
 */
import { GantryError, messageOf } from "../../lib/index.ts";
import { isSettingName, type Setting, settingEntries, type SettingName, settingOf } from "./settings.ts";

/** What was said, and only that; lists have one text an item. */
export type Given = ReadonlyMap<SettingName, readonly string[]>;

const maxChars = 1 << 20;
/** So far the line of an error is looked for. */
const maxLines = 1000;

/** @param path for messages */
export function parseConfig(text: string, path: string): Given {
  if (text.length > maxChars) throw new GantryError("invalid", `${path} is too long for a configuration`);
  checkKeys(text, path);
  let document: unknown;
  try {
    document = Bun.YAML.parse(text);
  } catch (error) {
    throw new GantryError("invalid", `${path}:${badLine(text)}: no YAML: ${messageOf(error)}`, {
      cause: error,
      hint: "write it as lines of: name: value",
    });
  }
  if (document === null || document === undefined) return new Map();
  if (typeof document !== "object" || Array.isArray(document))
    throw new GantryError("invalid", `${path} has no settings: write it as "name: value" lines`);
  const given = new Map<SettingName, readonly string[]>();
  for (const [key, value] of Object.entries(document)) {
    const line = lineOf(text, key);
    if (!isSettingName(key)) throw unknownKey(key, path, line);
    given.set(key, valuesOf(settingOf(key), key, value, `${path}:${line}`));
  }
  return given;
}

/** Where it stops being YAML: Bun does not say. The line behind the longest beginning that is. */
function badLine(text: string): number {
  const lines = text.split("\n");
  for (let good = Math.min(lines.length, maxLines) - 1; good > 0; good--) {
    try {
      Bun.YAML.parse(lines.slice(0, good).join("\n"));
      return good + 1;
    } catch {
      continue;
    }
  }
  return 1;
}

/** The keys of the first level as they stand in the text: YAML takes the last of two without a word. */
function checkKeys(text: string, path: string): void {
  const seen = new Map<string, number>();
  for (const [i, line] of text.split("\n").entries()) {
    const key = keyOf(line);
    if (key === undefined) continue;
    if (!isSettingName(key)) throw unknownKey(key, path, i + 1);
    const before = seen.get(key);
    if (before !== undefined)
      throw new GantryError("invalid", `${path}:${i + 1}: ${key} stands in line ${before} already`);
    seen.set(key, i + 1);
  }
}

const keyOf = (line: string): string | undefined =>
  /^["']?([A-Za-z0-9_.-]+)["']?[ \t]*:(?:[ \t]|$)/.exec(line)?.[1];

function lineOf(text: string, key: string): number {
  return text.split("\n").findIndex((line) => keyOf(line) === key) + 1;
}

function unknownKey(key: string, path: string, line: number): GantryError {
  const near = settingEntries
    .map(([name]) => name)
    .find((name) => name.replaceAll("-", "") === key.replace(/[-_]/g, ""));
  return new GantryError("invalid", `${path}:${line}: there is no setting ${JSON.stringify(key)}`, {
    hint: near === undefined ? "gantry registry serve --help lists them" : `did you mean: ${near}`,
  });
}

function valuesOf(setting: Setting, name: SettingName, value: unknown, where: string): readonly string[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (Array.isArray(value) && setting.kind !== "list")
    throw new GantryError("invalid", `${where}: ${name} takes one value, not a list`);
  return items.map((item) => {
    if (typeof item !== "string" && typeof item !== "number" && typeof item !== "boolean")
      throw new GantryError("invalid", `${where}: ${name} is no text, number or true and false`);
    return checkValue(setting, name, String(item), where);
  });
}

/** @throws {GantryError} "invalid", naming where it stands */
export function checkValue(setting: Setting, name: SettingName, text: string, where: string): string {
  if (setting.kind === "bool" && text !== "true" && text !== "false")
    throw new GantryError("invalid", `${where}: ${name} is true or false, not ${JSON.stringify(text)}`);
  try {
    setting.check?.(text);
  } catch (error) {
    const hint = error instanceof GantryError ? error.hint : undefined;
    const subject = where === `--${name}` ? where : `${where}: ${name}`;
    // Errors with a hint name the text themselves.
    const said = hint === undefined ? `${subject} ${JSON.stringify(text)}` : subject;
    throw new GantryError("invalid", `${said}: ${messageOf(error)}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  return text;
}
