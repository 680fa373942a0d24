/** COPY and ADD: words expanded, flags read. Pure. */
import { parseDigest } from "../../lib/index.ts";
import type { AddInstruction, CopyInstruction, InlineFile } from "../dockerfile/instruction.ts";
import { SyntaxProblem } from "../dockerfile/source.ts";
import { expandBodyIn, expandIn, type Scope } from "./scope.ts";
import type { CopyAction, CopySource, PlannedFile } from "./step.ts";

function sourceOf(scope: Scope, from: string | undefined): CopySource {
  if (from === undefined) return { kind: "context" };
  const named = scope.stageNames.lastIndexOf(from.toLowerCase());
  if (named >= 0) return { kind: "stage", index: named };
  if (!/^\d{1,9}$/.test(from)) return { kind: "image", reference: from };
  const index = Number(from);
  if (index < scope.stageNames.length) return { kind: "stage", index };
  const why =
    index === scope.stageNames.length
      ? "refers to current build stage"
      : `there are ${scope.stageNames.length} stages before this one`;
  throw new SyntaxProblem(`invalid from flag value ${from}: ${why}`, 0);
}

function fileMode(text: string): number {
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  throw new SyntaxProblem(
    `invalid chmod parameter: '${text.slice(0, 60)}'. it should be octal string and between 0 and 07777`,
  );
}

function digestOf(instruction: AddInstruction, text: string): CopyAction["checksum"] {
  if (instruction.sources.length !== 1 || !/^https?:\/\//i.test(instruction.sources[0] ?? ""))
    throw new SyntaxProblem("checksum can't be specified for non-HTTP(S) sources");
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return parseDigest(text);
  throw new SyntaxProblem(`invalid checksum: ${text.slice(0, 100)}`, 0, "write it as sha256:<64 hex digits>");
}

function inlineFile(scope: Scope, file: InlineFile): PlannedFile {
  if (file.name.includes("/") || file.name === "." || file.name === "..")
    throw new SyntaxProblem(
      `the name of a heredoc is a file name: ${JSON.stringify(file.name.slice(0, 100))} is none`,
    );
  if (!file.expand) return { name: file.name, content: file.content };
  return { name: file.name, content: expandBodyIn(scope, file.content) };
}

/** @throws {SyntaxProblem} on a variable that does not expand, a stage that does not exist, a malformed flag */
export function planCopy(scope: Scope, copy: CopyInstruction | AddInstruction): CopyAction {
  const expand = (word: string): string => expandIn(scope, word);
  const sources = copy.sources.map(expand);
  const inline = copy.inline.map((file) => inlineFile(scope, file));
  const destination = expand(copy.destination);
  const name = copy.kind === "copy" ? "COPY" : "ADD";
  if (destination === "") throw new SyntaxProblem(`the destination of ${name} is empty`);
  if (sources.length + inline.length > 1 && !destination.endsWith("/"))
    throw new SyntaxProblem(
      `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
    );
  const checksum = copy.kind === "add" && copy.checksum !== undefined ? expand(copy.checksum) : undefined;
  return {
    do: "copy",
    instruction: name,
    sources,
    inline,
    destination,
    workingDir: scope.config.WorkingDir ?? "/",
    chown: copy.chown === undefined ? undefined : expand(copy.chown),
    chmod: copy.chmod === undefined ? undefined : fileMode(expand(copy.chmod)),
    from: sourceOf(scope, copy.kind === "copy" ? copy.from : undefined),
    checksum: checksum === undefined || copy.kind !== "add" ? undefined : digestOf(copy, checksum),
  };
}
