/** What the user has set, each value with the place where it was set, and the readers that judge it. Pure. */
import { GantryError } from "../../lib/index.ts";
import { settingOf } from "./catalogue.ts";

export interface Given {
  readonly value: unknown;
  /** `--mtu`, or `/etc/gantry/config.yaml:3: mtu`. */
  readonly where: string;
}

/** By key of the catalogue. */
export type GivenMap = ReadonlyMap<string, Given>;

/** @param wanted what would have been right */
export function badValue({ value, where }: Given, wanted: string, shown: unknown = value): GantryError {
  const text = JSON.stringify(shown)?.slice(0, 200) ?? "nothing";
  return new GantryError(
    "invalid",
    where.startsWith("--")
      ? `invalid argument ${text} for "${where}" flag: ${wanted}`
      : `${where}: invalid value ${text}: ${wanted}`,
    where.startsWith("--") ? { hint: "see: gantry engine --help" } : {},
  );
}

/** Reads values in their shapes; what was not set is undefined. Each throws GantryError "invalid", naming the place. */
export class Values {
  readonly #given: GivenMap;

  constructor(given: GivenMap) {
    this.#given = given;
  }

  get(key: string): Given | undefined {
    return this.#given.get(key);
  }

  text(key: string): string | undefined {
    const given = this.get(key);
    if (given === undefined || typeof given.value === "string") return given?.value as string | undefined;
    throw badValue(given, "a text is wanted");
  }

  switch(key: string): boolean | undefined {
    const given = this.get(key);
    if (given === undefined || typeof given.value === "boolean") return given?.value as boolean | undefined;
    throw badValue(given, "true or false is wanted");
  }

  /** A whole number from `least` on. */
  number(key: string, least: number, most = 1_000_000): number | undefined {
    const given = this.get(key);
    if (given === undefined) return undefined;
    const { value } = given;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw badValue(given, `a number from ${least} to ${most} is wanted`);
  }

  list(key: string): readonly unknown[] {
    const given = this.get(key);
    if (given === undefined) return [];
    if (Array.isArray(given.value)) return given.value;
    throw badValue(given, "a list is wanted");
  }

  texts(key: string): readonly string[] {
    return this.list(key).map((item) => {
      if (typeof item === "string" && item !== "") return item;
      throw badValue(this.#at(key), "texts are wanted", item);
    });
  }

  map(key: string): Readonly<Record<string, unknown>> {
    const given = this.get(key);
    if (given === undefined) return {};
    if (isMap(given.value)) return given.value;
    throw badValue(given, "a map is wanted");
  }

  /** The refusal of a value that was given. */
  bad(key: string, wanted: string, shown?: unknown): GantryError {
    return badValue(this.#at(key), wanted, shown ?? this.#at(key).value);
  }

  /** Values that can be no other. */
  checkFixed(): void {
    for (const [key, given] of this.#given) {
      const only = settingOf(key)?.only;
      if (only === undefined || only.values.some((value) => Bun.deepEquals(value, given.value))) continue;
      const taken = only.values.map((value) => JSON.stringify(value)).join(" or ");
      throw badValue(given, `only ${taken} can be given, because ${only.because}`);
    }
  }

  #at(key: string): Given {
    return this.get(key) ?? { value: undefined, where: key };
  }
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
