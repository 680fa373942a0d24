/** The hooks that run on the host once the container runs or is gone (runtime-spec config.md, "POSIX-platform Hooks"). */
import { GantryError, isErrno, messageOf, toGantryError } from "../../lib/index.ts";
import type { OciHook } from "../oci-types.ts";
import { defaultHookTimeout, hookArgv } from "../plan-hooks.ts";
import type { HostRunResult } from "./host.ts";
import { warn } from "./log.ts";
import type { SpecState } from "./oci-state.ts";

const maxOutput = 64 << 10;
/** Of its output, in an error. */
const maxWords = 512;

export type HookKind = "poststart" | "poststop";

/**
 * Runs hooks one after the other with the container's state on stdin.
 * @throws {GantryError} "canceled" naming the first that failed, "timeout" naming one that was killed
 */
export function runHooks(kind: HookKind, hooks: readonly OciHook[] | undefined, state: SpecState): void {
  for (const [index, hook] of (hooks ?? []).entries()) runHook(`${kind} hook #${index}`, hook, state);
}

/** As runHooks, but every hook is run and a failure is told only: poststop hooks (runtime-spec, "Lifecycle", 13). */
export function runHooksToTheEnd(
  kind: HookKind,
  hooks: readonly OciHook[] | undefined,
  state: SpecState,
): void {
  for (const [index, hook] of (hooks ?? []).entries()) {
    try {
      runHook(`${kind} hook #${index}`, hook, state);
    } catch (error) {
      warn(messageOf(error));
    }
  }
}

function runHook(name: string, hook: OciHook, state: SpecState): void {
  const timeoutMs = (hook.timeout ?? defaultHookTimeout) * 1000;
  const argv = hookArgv(hook);
  let result: HostRunResult;
  try {
    result = host.run(argv, {
      file: hook.path,
      // As runc: without an env of its own it gets ours.
      ...(hook.env === undefined || hook.env.length === 0 ? {} : { env: hook.env }),
      // Where the early hooks run, too. A bundle may be gone by the time of delete.
      ...(isDirectory(state.bundle) ? { cwd: state.bundle } : {}),
      stdin: JSON.stringify(state),
      timeoutMs,
      maxOutput,
    });
  } catch (error) {
    throw toGantryError(error, `error running ${name}: ${hook.path}`);
  }
  if (result.timedOut)
    throw new GantryError(
      "timeout",
      `error running ${name}: ${hook.path}: hook ran past specified timeout of ${timeoutMs / 1000}s`,
    );
  if (result.status === 0) return;
  const end = result.signal > 0 ? `signal ${result.signal}` : `exit status ${result.status}`;
  throw new GantryError("canceled", `error running ${name}: ${hook.path}: ${end}${lastWords(result)}`);
}

/** What it said last, on one line, as gantry-init tells it of the early hooks. */
function lastWords({ stdout, stderr }: HostRunResult): string {
  const words = `${stdout}${stderr}`.slice(-maxWords).trim();
  return words === "" ? "" : `: ${words.replace(/\s*\n\s*/g, "; ")}`;
}

function isDirectory(path: string): boolean {
  try {
    return host.stat(path).kind === "dir";
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES")) return false;
    throw error;
  }
}
