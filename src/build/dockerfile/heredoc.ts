/** Here-documents of RUN, COPY and ADD (Dockerfile reference, "Here-Documents"). */
import { skipSpaces, unquote, wordEnd } from "./words.ts";

export interface HeredocMark {
  readonly name: string;
  /** `<<-`: leading tabs are taken off the body and its end mark. */
  readonly chomp: boolean;
  /** False when the name is quoted: variables in the body stay as they are. */
  readonly expand: boolean;
}

export interface Heredoc extends HeredocMark {
  readonly content: string;
}

/** The heredoc mark that `word` is, such as `<<EOF`, `<<-"EOF"` or `3<<EOF`. */
export function heredocMark(word: string): HeredocMark | undefined {
  const match = /^\d*<<(-?)[ \t]*([^<\s][^<]*)$/.exec(word);
  const name = match?.[2];
  if (match === null || name === undefined) return undefined;
  const plain = unquote(name, "\\");
  if (plain === "" || (plain === name && /\s/.test(name))) return undefined;
  return { name: plain, chomp: match[1] === "-", expand: plain === name };
}

/** All heredoc marks of an instruction, in order. A space between `<<` and the name is allowed, as in the shell. */
export function heredocMarks(text: string): readonly HeredocMark[] {
  const marks: HeredocMark[] = [];
  for (let at = skipSpaces(text, 0); at < text.length;) {
    let end = wordEnd(text, at, "\\");
    if (/^\d*<<-?$/.test(text.slice(at, end))) end = wordEnd(text, skipSpaces(text, end), "\\");
    const mark = heredocMark(text.slice(at, end));
    if (mark !== undefined) marks.push(mark);
    at = skipSpaces(text, end);
  }
  return marks;
}

/** The body without the tabs that lead its lines. */
export function chompTabs(content: string): string {
  return content.replaceAll(/^\t+/gm, "");
}
