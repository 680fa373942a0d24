/** When a container that ended is started again. Pure. */
import type { HostConfig } from "./container.ts";

export interface Ending {
  readonly exitCode: number;
  /** How long it ran. */
  readonly ranMs: number;
  readonly restartCount: number;
  readonly stoppedByUser: boolean;
}

const firstDelayMs = 100;
const longestDelayMs = 60_000;
/** A container that ran this long counts as well: the delay starts anew. */
const healthyAfterMs = 10_000;

/** The delay before the next start, given the delay before the last one; undefined: it stays stopped. */
export function nextRestart(
  policy: HostConfig["RestartPolicy"],
  ending: Ending,
  lastDelayMs: number,
): { readonly delayMs: number } | undefined {
  if (ending.stoppedByUser) return undefined;
  switch (policy.Name) {
    case "no":
      return undefined;
    case "on-failure":
      if (ending.exitCode === 0) return undefined;
      if (policy.MaximumRetryCount > 0 && ending.restartCount >= policy.MaximumRetryCount) return undefined;
      break;
    case "always":
    case "unless-stopped":
      break;
  }
  if (lastDelayMs === 0 || ending.ranMs >= healthyAfterMs) return { delayMs: firstDelayMs };
  return { delayMs: Math.min(lastDelayMs * 2, longestDelayMs) };
}

/** Whether a container that is not running is started when the engine starts. */
export function startsWithEngine(policy: HostConfig["RestartPolicy"], stoppedByUser: boolean): boolean {
  if (policy.Name === "always") return true;
  return policy.Name === "unless-stopped" && !stoppedByUser;
}
