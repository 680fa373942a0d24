import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseStrictJson } from "./strict-json.ts";

const parse = (text: string): unknown => parseStrictJson(Buffer.from(text), (why) => new Error(why));

test("any JSON is read as JSON.parse reads it", () => {
  fc.assert(fc.property(fc.json({ maxDepth: 6 }), (text) => expect(parse(text)).toEqual(JSON.parse(text))));
});

test("a key that stands twice in any object is refused, whatever its spelling", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.json({ maxDepth: 3 }),
      fc.boolean(),
      (key, value, escape) => {
        const literal = JSON.stringify(key);
        const spelled = escape ? `"${Array.from(key, codeUnits).join("")}"` : literal;
        expect(() => parse(`[{"o":[1,{${literal}:${value}, ${spelled} : 1}]}]`)).toThrow("stands twice");
        expect(parse(`[{${literal}:1},{${spelled}:2},${literal}]`)).toHaveLength(3);
      },
    ),
  );
});

function codeUnits(character: string): string {
  return character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

test.each(['{"a":1', '"', '"\\', '{"a" "a" "a"}', "]", "}{", '{"\\x":1,"\\x":2}', "\u0000"])(
  "what is no JSON is refused: %p",
  (text) => expect(() => parse(text)).toThrow(),
);
