/** COPY and ADD: sources, files that stand in the Dockerfile, and the destination. */
import { heredocMark, heredocMarks } from "./heredoc.ts";
import type { CopyFields, InlineFile } from "./instruction.ts";
import { SyntaxProblem } from "./source.ts";
import { argsText, type Statement, wordList } from "./statement.ts";
import { splitWords, type Word } from "./words.ts";

export const copyFlags = { from: "string", chown: "string", chmod: "string", link: "boolean" } as const;
export const addFlags = { chown: "string", chmod: "string", link: "boolean", checksum: "string" } as const;

function inlineFiles(statement: Statement): readonly InlineFile[] {
  return statement.heredocs.map((h) => ({ name: h.name, content: h.content, expand: h.expand }));
}

/** Words with a heredoc mark in one piece, even if a space stands after its `<<`. */
function copyWords(statement: Statement): readonly Word[] {
  if (statement.heredocs.length === 0) return wordList(statement);
  const words = splitWords(argsText(statement), "\\");
  const joined: Word[] = [];
  for (const word of words) {
    const before = joined.at(-1);
    const open = before !== undefined && /^\d*<<-?$/.test(before.text);
    if (open) joined[joined.length - 1] = { text: before.text + word.text, offset: before.offset };
    else joined.push({ text: word.text, offset: word.offset + statement.argsAt });
  }
  return joined;
}

/** @throws {SyntaxProblem} when the destination is missing or is a heredoc */
export function parseCopyFields(statement: Statement): CopyFields {
  const words = copyWords(statement);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    const message = `${statement.keyword} requires at least two arguments, but only one was provided. Destination could not be determined`;
    throw new SyntaxProblem(
      words.length === 0 ? `${statement.keyword} requires at least two arguments` : message,
      statement.argsAt,
    );
  }
  if (statement.heredocs.length > 0 && heredocMark(destination.text) !== undefined) {
    throw new SyntaxProblem(
      `${statement.keyword} cannot accept a heredoc as a destination`,
      destination.offset,
    );
  }
  const sources = words.slice(0, -1);
  const isHeredoc = (word: Word) => statement.heredocs.length > 0 && heredocMarks(word.text).length > 0;
  return {
    sources: sources.filter((word) => !isHeredoc(word)).map((word) => word.text),
    inline: inlineFiles(statement),
    destination: destination.text,
    chown: statement.flags.get("chown"),
    chmod: statement.flags.get("chmod"),
    link: statement.flags.get("link") === "true",
  };
}
