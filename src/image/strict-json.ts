/**
 * JSON that reads the same everywhere. Two parsers may disagree about a document with a key that stands twice (the first or
 * the last is taken, or both are merged) or in another case (Go takes `Layers` for `layers`): what one of them has checked,
 * the other does not see. Such documents are refused.
 */

/** Why a text is refused. */
export type JsonFault = (why: string) => Error;

const maxDepth = 100;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** Keys of the object that the scanner is in; undefined in a list. */
type Level = Set<string> | undefined;

/**
 * Parses UTF-8 JSON without duplicate keys, at most 100 levels deep.
 * @param fault makes the error that is thrown
 */
export function parseStrictJson(bytes: Uint8Array, fault: JsonFault): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // TypeError, the only one that the decoder has.
    throw fault("it is not UTF-8");
  }
  scan(text, fault);
  try {
    return JSON.parse(text);
  } catch {
    // SyntaxError, whose words are about the parser.
    throw fault("it is no JSON document");
  }
}

/** Looks at keys and depth only: what is no JSON is left to the parser. */
function scan(text: string, fault: JsonFault): void {
  const levels: Level[] = [];
  let isKey = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const keys = levels.at(-1);
    if (code === quote) {
      const end = endOfString(text, at);
      if (isKey && keys !== undefined) addKey(keys, text.slice(at, end + 1), fault);
      isKey = false;
      at = end;
    } else if (code === openBrace || code === openBracket) {
      if (levels.length >= maxDepth) throw fault(`it is nested more than ${maxDepth} levels deep`);
      levels.push(code === openBrace ? new Set() : undefined);
      isKey = code === openBrace;
    } else if (code === closeBrace || code === closeBracket) {
      levels.pop();
      isKey = false;
    } else if (code === comma) isKey = keys !== undefined;
  }
}

/** Where the string that begins at `start` has its last quote; the text's end when it has none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}

function addKey(keys: Set<string>, literal: string, fault: JsonFault): void {
  let key: string;
  try {
    // An escape may spell a key that stands there already.
    key = literal.includes("\\") ? String(JSON.parse(literal)) : literal.slice(1, -1);
  } catch {
    // SyntaxError: the parser will say so of the whole document.
    return;
  }
  if (keys.has(key)) throw fault(`the key ${JSON.stringify(key.slice(0, 100))} stands twice in an object`);
  keys.add(key);
}

/** Refuses keys that are known ones in another case. @param known by their folded form */
export function refuseOtherCase(
  object: Readonly<Record<string, unknown>>,
  known: ReadonlyMap<string, string>,
  fault: JsonFault,
): void {
  for (const key of Object.keys(object)) {
    const right = known.get(folded(key));
    if (right !== undefined && right !== key)
      throw fault(`the key ${JSON.stringify(key.slice(0, 100))} must be written ${JSON.stringify(right)}`);
  }
}

/** Keys by what Go compares them by. */
export function caseTable(keys: readonly string[]): ReadonlyMap<string, string> {
  return new Map(keys.map((key) => [folded(key), key]));
}

/** Up and down again: ſ and the Kelvin sign fold to s and k. */
function folded(key: string): string {
  return key.toUpperCase().toLowerCase();
}
