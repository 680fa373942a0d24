/** RUN: the command line, its environment, and what the cache knows it by. Pure. */
import type { Heredoc } from "../dockerfile/heredoc.ts";
import { heredocMark } from "../dockerfile/heredoc.ts";
import type { RunInstruction } from "../dockerfile/instruction.ts";
import { envMap, envName } from "./env-list.ts";
import { type Scope, shellOf } from "./scope.ts";
import type { RunAction } from "./step.ts";

/** Where a heredoc with a `#!` stands while it runs. */
const scriptPath = "/.gantry-heredoc";

interface Command {
  readonly args: readonly string[];
  readonly script: RunAction["script"];
}

/** `RUN <<EOF` alone is a script; anything more is left to the shell, heredocs and all. */
function heredocCommand(scope: Scope, text: string, heredocs: readonly Heredoc[]): Command {
  const shell = shellOf(scope.config);
  const first = heredocs[0];
  if (first !== undefined && heredocs.length === 1 && heredocMark(text) !== undefined) {
    if (first.content.startsWith("#!"))
      return { args: [scriptPath], script: { path: scriptPath, content: first.content } };
    return { args: [...shell, first.content], script: undefined };
  }
  const bodies = heredocs.map((h) => `\n${h.content}${h.name}`).join("");
  return { args: [...shell, text + bodies], script: undefined };
}

function commandOf(scope: Scope, run: RunInstruction): Command {
  const { form, args } = run.command;
  if (form === "exec") return { args, script: undefined };
  const text = args[0] ?? "";
  if (run.heredocs.length > 0) return heredocCommand(scope, text, run.heredocs);
  return { args: [...shellOf(scope.config), text], script: undefined };
}

/** The command with its build arguments in front, as docker's cache and history have it: `|1 A=x /bin/sh -c …`. */
function withArgs(scope: Scope, buildEnv: readonly string[], command: readonly string[]): readonly string[] {
  if (buildEnv.length === 0) return command;
  const shown = buildEnv.filter((item) => scope.args.isVisible(envName(item)));
  return [`|${shown.length}`, ...shown, ...command];
}

export function planRun(scope: Scope, run: RunInstruction): RunAction {
  const { args, script } = commandOf(scope, run);
  const env = scope.config.Env ?? [];
  const buildEnv = scope.args.forRun(envMap(env));
  const shown = script === undefined ? args : [...shellOf(scope.config), script.content];
  return {
    do: "run",
    args,
    command: withArgs(scope, buildEnv, shown),
    env: [...env, ...buildEnv],
    workingDir:
      scope.config.WorkingDir === undefined || scope.config.WorkingDir === "" ? "/" : scope.config.WorkingDir,
    user: scope.config.User ?? "",
    network: run.network,
    script,
  };
}
