import { expect, test } from "bun:test";
import { settings } from "../../engine/settings/catalogue.ts";
import { engine } from "./engine.ts";

test("the help of the engine has its settings' flags, of the same kinds, and two that are none", () => {
  const kinds = { text: "string", switch: "bool", number: "int", list: "list", map: "list" } as const;
  const wanted = settings
    .filter(({ flag, only }) => flag !== undefined && only === undefined)
    .map(({ flag, short, shape }) => [flag, short, kinds[shape]]);
  const config = ["config", undefined, "string"];
  const validate = ["validate", undefined, "bool"];
  const shown = engine.flags.map(({ name, short, kind }) => [name, short, kind]);
  const byName = (a: unknown[], b: unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
  expect(shown).toEqual([...wanted, config, validate].toSorted(byName));
});
