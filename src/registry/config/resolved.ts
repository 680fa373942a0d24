/** Settings as they count: flags before the file, the file before the presets. */
import { readFileSync } from "node:fs";
import { GantryError, toGantryError } from "../../lib/index.ts";
import { checkValue, type Given, parseConfig } from "./config-file.ts";
import { isSettingName, type SettingName, settingOf } from "./settings.ts";

export class Resolved {
  readonly #layers: readonly Given[];

  /** @param layers the first that says something counts */
  constructor(...layers: readonly Given[]) {
    this.#layers = layers;
  }

  text(name: SettingName): string {
    return this.#find(name)?.at(-1) ?? settingOf(name).preset ?? "";
  }

  bool(name: SettingName): boolean {
    return this.text(name) === "true";
  }

  list(name: SettingName): readonly string[] {
    return this.#find(name) ?? [];
  }

  /** Undefined where nothing was said: an empty text says "the preset is not wanted". */
  optional(name: SettingName): string | undefined {
    const text = this.text(name);
    return text === "" ? undefined : text;
  }

  /** True when nobody has said anything else. */
  isPreset(name: SettingName): boolean {
    return this.text(name) === settingOf(name).preset;
  }

  #find(name: SettingName): readonly string[] | undefined {
    return this.#layers.find((layer) => layer.has(name))?.get(name);
  }
}

/** What stands on the command line, and the file that it names. */
export interface CommandSettings {
  readonly flags: Readonly<Record<string, readonly string[]>>;
  /** Path of the configuration file; undefined: none. */
  readonly config: string | undefined;
}

/** @throws {GantryError} "invalid", "not-found" naming the file */
export function resolveSettings({ flags, config }: CommandSettings): Resolved {
  const given = new Map<SettingName, readonly string[]>();
  for (const [name, values] of Object.entries(flags)) {
    if (!isSettingName(name)) throw new GantryError("invalid", `there is no setting ${name}`);
    given.set(
      name,
      values.map((text) => checkValue(settingOf(name), name, text, `--${name}`)),
    );
  }
  return config === undefined ? new Resolved(given) : new Resolved(given, parseConfig(read(config), config));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw toGantryError(error, "read the configuration file");
  }
}
