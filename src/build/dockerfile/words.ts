/** Splitting the text of an instruction into words: quotes and escapes are respected, and kept for later expansion. */

export interface Word {
  readonly text: string;
  /** Where the word starts in the text that was split. */
  readonly offset: number;
}

const spaces = new Set([" ", "\t", "\v", "\f", "\r", "\n", "\u0085", "\u00a0"]);

/** True for what separates words. */
export function isSpace(char: string | undefined): boolean {
  return char !== undefined && spaces.has(char);
}

/** The first offset at or after `offset` that is no space. */
export function skipSpaces(text: string, offset: number): number {
  let at = offset;
  while (isSpace(text[at])) at++;
  return at;
}

/** The end of the word that starts at `start`: spaces within quotes or after the escape character belong to it. */
export function wordEnd(text: string, start: number, escape: string): number {
  let quote = "";
  for (let at = start; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === escape && quote !== "'") at++;
    else if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === "'" || char === '"') quote = char;
    else if (isSpace(char)) return at;
  }
  return text.length;
}

/** Words as the shell would split them, quotes and escapes kept. An escape character at the very end is dropped. */
export function splitWords(text: string, escape: string): readonly Word[] {
  const words: Word[] = [];
  for (let at = skipSpaces(text, 0); at < text.length;) {
    const end = wordEnd(text, at, escape);
    words.push({ text: text.slice(at, end), offset: at });
    at = skipSpaces(text, end);
  }
  return words;
}

/** Words divided by spaces and nothing else: quotes have no meaning (COPY a "b" is two words with the quotes in one). */
export function splitPlain(text: string): readonly Word[] {
  const words: Word[] = [];
  for (let at = skipSpaces(text, 0); at < text.length;) {
    let end = at;
    while (end < text.length && !isSpace(text[end])) end++;
    words.push({ text: text.slice(at, end), offset: at });
    at = skipSpaces(text, end);
  }
  return words;
}

/** The text of a word without its quotes and escapes; variables stay as they are. */
export function unquote(text: string, escape: string): string {
  let quote = "";
  let out = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === escape && quote !== "'") out += text[++at] ?? "";
    else if (quote !== "" && char === quote) quote = "";
    else if (quote === "" && (char === "'" || char === '"')) quote = char;
    else out += char;
  }
  return out;
}
