/** The words behind `gantry engine`. Pure. */
import { GantryError } from "../../lib/index.ts";
import { otherNames, type Setting, settings } from "./catalogue.ts";
import { badValue, type Given, type GivenMap } from "./given.ts";

export interface Words {
  readonly given: GivenMap;
  /** The configuration file; undefined: the usual one, if it is there. */
  readonly config: string | undefined;
  /** Judge the settings and end. */
  readonly validate: boolean;
  readonly help: boolean;
}

/** @throws {GantryError} "invalid", worded as docker words it */
export function readFlags(words: readonly string[]): Words {
  const given = new Map<string, Given>();
  let config: string | undefined;
  const switches = { "--validate": false, "--help": false };
  for (let i = 0; i < words.length; i++) {
    const { flag, value } = split(words[i] ?? "");
    const argument = (): string => {
      const text = value ?? words[++i];
      if (text === undefined || text === "") throw invalid(`flag needs an argument: ${flag}`);
      return text;
    };
    const name = flag === "-h" ? "--help" : flag;
    if (name === "--config" || name === "--config-file") config = argument();
    else if (name === "--validate" || name === "--help") switches[name] = booleanOf(name, value);
    else {
      const setting = settingOfFlag(flag);
      if (setting === undefined)
        throw invalid(
          flag.startsWith("-") ? `unknown flag: ${flag}` : `'engine' accepts no arguments: ${flag}`,
        );
      const where = `--${setting.flag}`;
      const text = setting.shape === "switch" ? (value ?? "true") : argument();
      given.set(setting.key, { where, value: combine(setting, given.get(setting.key)?.value, text, where) });
    }
  }
  return { given, config, validate: switches["--validate"], help: switches["--help"] };
}

function settingOfFlag(flag: string): Setting | undefined {
  const long = /^--(.+)$/.exec(flag)?.[1];
  if (long === undefined) return settings.find(({ short }) => short !== undefined && flag === `-${short}`);
  const name = otherNames[long] ?? long;
  return settings.find((setting) => setting.flag === name);
}

/** The value with one more word. */
function combine({ shape }: Setting, before: unknown, text: string, where: string): unknown {
  switch (shape) {
    case "text":
      return text;
    case "switch":
      return booleanOf(where, text);
    case "number":
      if (/^-?\d{1,15}$/.test(text)) return Number(text);
      throw badValue({ value: text, where }, "a number is wanted");
    case "list":
      return [...((before as readonly string[] | undefined) ?? []), text];
    case "map": {
      const at = text.indexOf("=");
      if (at < 1) throw badValue({ value: text, where }, "NAME=VALUE is wanted");
      return { ...(before as object | undefined), [text.slice(0, at)]: text.slice(at + 1) };
    }
  }
}

/** `--flag=value` and `-Hvalue`. */
function split(word: string): { readonly flag: string; readonly value: string | undefined } {
  const short = settings.find(({ short: letter }) => letter !== undefined && word.startsWith(`-${letter}`));
  if (short !== undefined && short.shape !== "switch" && word.length > 2)
    return { flag: word.slice(0, 2), value: word.slice(2).replace(/^=/, "") };
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at < 0 ? { flag: word, value: undefined } : { flag: word.slice(0, at), value: word.slice(at + 1) };
}

function booleanOf(where: string, value: string | undefined): boolean {
  if (value === undefined || value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw badValue({ value, where }, "true or false is wanted");
}

function invalid(message: string): GantryError {
  return new GantryError("invalid", message, { hint: "see: gantry engine --help" });
}
