/** From a logical line to an instruction: a table of keywords, each with its flags and its parser. */
import { type FlagTable, parseFlags } from "./flags.ts";
import type { FromInstruction, Instruction, RunInstruction } from "./instruction.ts";
import type { LogicalLine } from "./logical-lines.ts";
import { addFlags, copyFlags, parseCopyFields } from "./parse-copy.ts";
import { healthcheckFlags, parseHealthcheck } from "./parse-healthcheck.ts";
import { parseArgs, parsePairs } from "./parse-key-values.ts";
import { SyntaxProblem } from "./source.ts";
import {
  argsText,
  commandLine,
  jsonStrings,
  oneArg,
  requireArgs,
  type Statement,
  wordList,
} from "./statement.ts";
import { splitPlain } from "./words.ts";

type Parsed = Instruction | FromInstruction;

interface Keyword {
  readonly flags?: FlagTable;
  parse(statement: Statement): Parsed;
}

const located = (s: Statement): Pick<Statement, "text" | "range"> => ({ text: s.text, range: s.range });

function parseFrom(s: Statement): FromInstruction {
  const words = splitPlain(argsText(s));
  const [base, as, name] = words;
  if (base === undefined || (words.length !== 1 && (words.length !== 3 || as?.text.toLowerCase() !== "as"))) {
    throw new SyntaxProblem(
      "FROM requires either one or three arguments",
      s.argsAt,
      "write FROM image or FROM image AS name",
    );
  }
  const lower = name?.text.toLowerCase();
  if (name !== undefined && lower !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(lower)) {
    const message = `invalid name for build stage: ${JSON.stringify(name.text.slice(0, 100))}, name can't start with a number or contain symbols`;
    throw new SyntaxProblem(message, s.argsAt + name.offset);
  }
  return { kind: "from", ...located(s), base: base.text, name: lower, platform: s.flags.get("platform") };
}

function parseRun(s: Statement): RunInstruction {
  const network = s.flags.get("network") ?? "default";
  if (network !== "default" && network !== "none" && network !== "host") {
    throw new SyntaxProblem(
      `invalid network mode ${JSON.stringify(network.slice(0, 60))} of RUN`,
      s.text.indexOf("--network"),
      "use default, none or host",
    );
  }
  const command = commandLine(requireArgs(s), s.argsAt);
  if (command.args.length === 0) throw new SyntaxProblem("RUN requires at least one argument", s.argsAt);
  return { kind: "run", ...located(s), command, heredocs: s.heredocs, network };
}

function parseShell(s: Statement): Instruction {
  const args = jsonStrings(argsText(s), s.argsAt);
  if (args === undefined) {
    throw new SyntaxProblem(
      `SHELL requires the arguments to be in JSON form`,
      s.argsAt,
      'write SHELL ["/bin/sh", "-c"]',
    );
  }
  if (args.length === 0) throw new SyntaxProblem("SHELL requires at least one argument", s.argsAt);
  return { kind: "shell", ...located(s), args };
}

function parseVolume(s: Statement): Instruction {
  const words = wordList(s);
  if (words.length === 0) throw new SyntaxProblem("VOLUME requires at least one argument", s.argsAt);
  const paths = words.map((word) => {
    const path = word.text.trim();
    if (path === "") throw new SyntaxProblem("VOLUME specified can not be an empty string", word.offset);
    return path;
  });
  return { kind: "volume", ...located(s), paths };
}

function parseOnbuild(s: Statement): Instruction {
  const trigger = requireArgs(s);
  const inner = /^\S+/.exec(trigger)?.[0].toUpperCase() ?? "";
  if (inner === "ONBUILD")
    throw new SyntaxProblem("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", s.argsAt);
  if (inner === "FROM" || inner === "MAINTAINER")
    throw new SyntaxProblem(`${inner} isn't allowed as an ONBUILD trigger`, s.argsAt);
  // The trigger is parsed here too, so that a mistake shows now and not in somebody else's build.
  parseStatement({ ...s, text: s.text.slice(s.argsAt) }, s.argsAt);
  const bodies = s.heredocs.map((h) => `\n${h.content}${h.name}`).join("");
  return { kind: "onbuild", ...located(s), trigger: trigger + bodies };
}

const keywords: Readonly<Record<string, Keyword>> = {
  FROM: { flags: { platform: "string" }, parse: parseFrom },
  RUN: { flags: { network: "string" }, parse: parseRun },
  COPY: {
    flags: copyFlags,
    parse: (s) => ({ kind: "copy", ...located(s), ...parseCopyFields(s), from: s.flags.get("from") }),
  },
  ADD: {
    flags: addFlags,
    parse: (s) => ({ kind: "add", ...located(s), ...parseCopyFields(s), checksum: s.flags.get("checksum") }),
  },
  CMD: { parse: (s) => ({ kind: "cmd", ...located(s), command: commandLine(argsText(s), s.argsAt) }) },
  ENTRYPOINT: {
    parse: (s) => ({ kind: "entrypoint", ...located(s), command: commandLine(argsText(s), s.argsAt) }),
  },
  SHELL: { parse: parseShell },
  ENV: { parse: (s) => ({ kind: "env", ...located(s), pairs: parsePairs(s) }) },
  LABEL: { parse: (s) => ({ kind: "label", ...located(s), pairs: parsePairs(s), literal: false }) },
  ARG: { parse: (s) => ({ kind: "arg", ...located(s), args: parseArgs(s) }) },
  EXPOSE: {
    parse: (s) => ({ kind: "expose", ...located(s), ports: splitPlain(requireArgs(s)).map((w) => w.text) }),
  },
  VOLUME: { parse: parseVolume },
  WORKDIR: { parse: (s) => ({ kind: "workdir", ...located(s), path: oneArg(s) }) },
  USER: { parse: (s) => ({ kind: "user", ...located(s), user: oneArg(s) }) },
  STOPSIGNAL: { parse: (s) => ({ kind: "stopsignal", ...located(s), signal: oneArg(s) }) },
  MAINTAINER: { parse: (s) => ({ kind: "maintainer", ...located(s), name: oneArg(s) }) },
  HEALTHCHECK: {
    flags: healthcheckFlags,
    parse: (s) => ({ kind: "healthcheck", ...located(s), check: parseHealthcheck(s) }),
  },
  ONBUILD: { parse: parseOnbuild },
};

/** How many single-letter changes lead from one word to the other, at most 3. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 3;
}

function unknownInstruction(word: string, offset: number): SyntaxProblem {
  const upper = word.toUpperCase();
  const near = upper.length > 14 ? undefined : Object.keys(keywords).find((k) => distance(k, upper) <= 2);
  const guess = near === undefined ? "" : ` (did you mean ${near}?)`;
  return new SyntaxProblem(`unknown instruction: ${word.slice(0, 60)}${guess}`, offset);
}

/** Parses `base.text`; `shift` is where that text starts in the logical line. */
function parseStatement(base: Statement, shift: number): Parsed {
  const word = /^\S+/.exec(base.text)?.[0] ?? "";
  const upper = word.toUpperCase();
  const keyword = Object.hasOwn(keywords, upper) ? keywords[upper] : undefined;
  if (keyword === undefined) throw unknownInstruction(word, shift);
  try {
    const { values, rest } = parseFlags(base.text, word.length, keyword.flags ?? {}, base.escape);
    return keyword.parse({ ...base, keyword: upper, flags: values, argsAt: rest });
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    throw new SyntaxProblem(error.message, error.offset + shift, error.hint);
  }
}

/** @throws {SyntaxProblem} with an offset in the line's text */
export function parseInstruction(line: LogicalLine, escape: string): Parsed {
  const text = line.text.trimEnd();
  const range = { start: line.positionAt(0), endLine: line.endLine };
  return parseStatement(
    { keyword: "", text, argsAt: 0, flags: new Map(), heredocs: line.heredocs, escape, range },
    0,
  );
}
