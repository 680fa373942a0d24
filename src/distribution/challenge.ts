/** The WWW-Authenticate header (RFC 9110, 11.6.1): several challenges, tokens and quoted strings, from whoever answers. */

export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const maxLength = 8192;
const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;
const blank = /[ \t]*/y;
/** What some schemes have instead of parameters. */
const token68 = /[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|$)/y;

/** What can be read of it: a damaged header gives the challenges before the damage. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, maxLength);
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (at < text.length) {
    take(blank);
    if (text[at] === ",") {
      at++;
      continue;
    }
    const word = take(token)?.[0];
    if (word === undefined) break;
    take(blank);
    if (text[at] !== "=") {
      found.push({ scheme: word.toLowerCase(), parameters: new Map() });
      take(token68);
      continue;
    }
    at++;
    take(blank);
    const string = take(quoted);
    const value = string === null ? take(token)?.[0] : (string[1] ?? "").replace(/\\(.)/g, "$1");
    if (value === undefined) break;
    const parameters = found.at(-1)?.parameters;
    // The first of two wins: an answer that says a thing twice must not be read differently by two readers.
    if (parameters !== undefined && !parameters.has(word.toLowerCase()))
      parameters.set(word.toLowerCase(), value);
  }
  return found;
}
