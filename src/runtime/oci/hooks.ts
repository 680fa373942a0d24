/** The hooks that run on the host once the container runs or is gone (runtime-spec config.md, "POSIX-platform Hooks"). */
import { GantryError, messageOf, toGantryError } from "../../lib/index.ts";
import type { OciHook } from "../oci-types.ts";
import { defaultHookTimeout, hookArgv } from "../plan-hooks.ts";
import type { HostRunResult } from "./host.ts";
import { warn } from "./log.ts";

const maxOutput = 64 << 10;

export type HookKind = "poststart" | "poststop";

/**
 * Runs hooks one after the other with the container's state on stdin.
 * @throws {GantryError} "canceled" naming the first that failed, "timeout" naming one that was killed
 */
export function runHooks(kind: HookKind, hooks: readonly OciHook[] | undefined, state: object): void {
  for (const [index, hook] of (hooks ?? []).entries()) runHook(`${kind} hook #${index}`, hook, state);
}

/** As runHooks, but every hook is run and a failure is told only: poststop hooks (runtime-spec, "Lifecycle", 13). */
export function runHooksToTheEnd(kind: HookKind, hooks: readonly OciHook[] | undefined, state: object): void {
  for (const [index, hook] of (hooks ?? []).entries()) {
    try {
      runHook(`${kind} hook #${index}`, hook, state);
    } catch (error) {
      warn(messageOf(error));
    }
  }
}

function runHook(name: string, hook: OciHook, state: object): void {
  const timeoutMs = (hook.timeout ?? defaultHookTimeout) * 1000;
  const argv = hookArgv(hook);
  let result: HostRunResult;
  try {
    result = host.run(argv, {
      file: hook.path,
      // As runc: without an env of its own it gets ours.
      ...(hook.env === undefined || hook.env.length === 0 ? {} : { env: hook.env }),
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
  throw new GantryError(
    "canceled",
    `error running ${name}: ${hook.path}: ${end}, stdout: ${result.stdout.trim()}, stderr: ${result.stderr.trim()}`,
  );
}
