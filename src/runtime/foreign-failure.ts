/** Why a command of another OCI runtime failed, as an error of ours. Pure. */
import { type ErrorCode, GantryError } from "../lib/index.ts";
import type { MonitorStep } from "./plan-step.ts";
import { stepPhrase } from "./step-phrase.ts";

const prefix = "failed to create task for container: ";

/**
 * @param tail the end of the runtime's log
 * @param words of the errno, where the command could not be run at all
 */
export function foreignFailure(
  step: MonitorStep & { readonly do: "run-program" },
  tail: string,
  words: string,
): GantryError {
  const said = lastLoggedError(tail);
  if (said === undefined) {
    return new GantryError("unavailable", `${prefix}${stepPhrase(step)}: ${tail === "" ? words : tail}`, {
      hint: `run it by hand to see more: ${step.argv.join(" ")}`,
    });
  }
  return new GantryError(codeOf(said), `${prefix}${said}`, { fields: { runtime: step.argv[0] ?? "" } });
}

/** Docker's exit codes 126 and 127 depend on what runc and crun say of execve. */
function codeOf(said: string): ErrorCode {
  if (/executable file .*not found|executable file not found|no such file or directory/.test(said))
    return /exec/.test(said) ? "command-not-found" : "not-found";
  if (/exec.*(permission denied|exec format error|is a directory)/.test(said))
    return "command-not-executable";
  return "unavailable";
}

/** The sentence logged last, out of the end of a log of JSON lines `{"level":"error","msg":"…"}`. */
export function lastLoggedError(tail: string): string | undefined {
  const found = [...tail.matchAll(/"msg":\s*"((?:[^"\\]|\\.)*)/g)].pop()?.[1];
  return found
    ?.replace(/\\(["\\/])/g, "$1")
    .replace(/\\n/g, " ")
    .replace(/\\$/, "");
}
