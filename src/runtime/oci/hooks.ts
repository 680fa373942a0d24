/** The hooks that run on the host once the container runs or is gone (runtime-spec config.md, "POSIX-platform Hooks"). */
import { GantryError } from "../../lib/index.ts";
import type { OciHook } from "../oci-types.ts";

/** Without a time-out of its own a hook may not hang for ever. */
const defaultTimeoutSeconds = 300;

/**
 * Runs hooks one after the other with the container's state on stdin.
 * @throws {GantryError} "internal" naming the first that failed, "timeout" naming one that was killed
 */
export async function runHooks(
  kind: string,
  hooks: readonly OciHook[] | undefined,
  state: object,
): Promise<void> {
  for (const [index, hook] of (hooks ?? []).entries()) {
    const name = `hooks.${kind}[${index}] (${hook.path})`;
    const timeoutMs = (hook.timeout ?? defaultTimeoutSeconds) * 1000;
    const child = Bun.spawn([hook.path, ...(hook.args ?? []).slice(1)], {
      argv0: hook.args?.[0] ?? hook.path,
      env: Object.fromEntries((hook.env ?? []).map(splitEnv)),
      stdin: new TextEncoder().encode(JSON.stringify(state)),
      stdout: "ignore",
      stderr: "inherit",
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    const code = await child.exited;
    if (child.signalCode === "SIGKILL")
      throw new GantryError("timeout", `${name} was killed after ${timeoutMs / 1000} s`);
    if (code !== 0) throw new GantryError("internal", `${name} ended with status ${code}`);
  }
}

function splitEnv(entry: string): readonly [string, string] {
  const at = entry.indexOf("=");
  return [entry.slice(0, at), entry.slice(at + 1)];
}
