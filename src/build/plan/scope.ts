/** What the planner knows at one point of a stage, and how words are expanded there. */
import type { ContainerDefaults } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import {
  type ExpandOptions,
  type ExpansionBudget,
  expandWord,
  expandWords,
  type Lookup,
} from "../dockerfile/expand-word.ts";
import { dockerfileError, type SourceRange, SyntaxProblem } from "../dockerfile/source.ts";
import type { BuildArgs } from "./build-args.ts";
import { envMap } from "./env-list.ts";

/** Changed by the planner as it walks through a stage. */
export interface Scope {
  readonly args: BuildArgs;
  readonly escape: string;
  readonly budget: ExpansionBudget;
  /** Names of the stages before this one; a stage's number is its index. */
  readonly stageNames: readonly (string | undefined)[];
  config: ContainerDefaults;
  author: string | undefined;
  /** CMD stood in this stage: ENTRYPOINT keeps it. */
  cmdSet: boolean;
}

/** Throws what a SyntaxProblem says as an error that shows where in the Dockerfile it stands. */
export type Blame = (problem: SyntaxProblem, range: SourceRange) => GantryError;

/** Blames a place of `source`; for a trigger, which stands in no file, the trigger's text is the source. */
export const blameSource =
  (source: string): Blame =>
  (problem, range) =>
    dockerfileError(source, range.start, problem.message, problem.hint);

/** Variables as instructions see them: the image's environment before build arguments. */
function scopeLookup(scope: Scope): Lookup {
  const env = envMap(scope.config.Env ?? []);
  return (name) => env.get(name) ?? scope.args.value(name);
}

function optionsIn(scope: Scope): ExpandOptions {
  scope.budget.spend(5 * (scope.config.Env?.length ?? 0) + 50);
  return { escape: scope.escape, budget: scope.budget, lookup: scopeLookup(scope) };
}

/** @throws {SyntaxProblem} */
export function expandIn(scope: Scope, word: string): string {
  return expandWord(word, optionsIn(scope));
}

/** The body of a heredoc: quotes are plain characters. @throws {SyntaxProblem} */
export function expandBodyIn(scope: Scope, body: string): string {
  return expandWord(body, { ...optionsIn(scope), keepQuotes: true });
}

/** One word that may become several at its spaces (EXPOSE). @throws {SyntaxProblem} */
export function expandManyIn(scope: Scope, word: string): readonly string[] {
  return expandWords(word, optionsIn(scope));
}

export const defaultShell: readonly string[] = ["/bin/sh", "-c"];

/** The shell of the shell form. */
export function shellOf(config: ContainerDefaults): readonly string[] {
  return config.Shell === undefined || config.Shell.length === 0 ? defaultShell : config.Shell;
}
