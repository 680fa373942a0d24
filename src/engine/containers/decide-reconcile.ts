/** What an engine that starts does about a container that an earlier one left, as a table. Pure. */
import type { StatusFile } from "../../runtime/index.ts";
import type { ContainerRecord, ContainerState } from "../container.ts";
import { startsWithEngine } from "../restart-policy.ts";

/** Before anything of it is read. */
export type FirstLook =
  /** It has processes, or may have: read its status file. */
  | "inspect"
  /** Its removal was begun: end it. */
  | "remove"
  /** It waits for an automatic start, or its policy wants one with the engine. */
  | "start"
  | "nothing";

export function firstLook({ host }: Pick<ContainerRecord, "host">, state: ContainerState): FirstLook {
  if (state.launching) return "inspect";
  switch (state.status) {
    case "running":
    case "paused":
      return "inspect";
    case "removing":
    case "dead":
      return "remove";
    case "restarting":
      return "start";
    case "exited":
      // With --rm it should be gone: the engine died between its end and its removal.
      if (host.AutoRemove) return "remove";
      return startsWithEngine(host.RestartPolicy, state.stoppedByUser) ? "start" : "nothing";
    case "created":
      // A failed or never begun `run --rm` has nobody who waits for it.
      return host.AutoRemove && state.error !== "" ? "remove" : "nothing";
  }
}

export type Verdict =
  /** Its monitor lives: connect to it. */
  | { readonly do: "adopt" }
  /** It has ended, and this is how. */
  | { readonly do: "finish" }
  /** Its monitor is gone without a word: clear away, exit code 255. */
  | { readonly do: "vanished" }
  /** The start failed or never came to spawn. */
  | { readonly do: "not-started"; readonly error: string };

/**
 * @param status what the monitor wrote; undefined when it has written nothing (waited for, after an interrupted start)
 * @param processLives whether the process of a `running` status still is the same one
 */
export function verdict(
  state: ContainerState,
  status: StatusFile | undefined,
  processLives: boolean,
): Verdict {
  if (status?.state === "exited") return { do: "finish" };
  if (status?.state === "running") return { do: processLives ? "adopt" : "vanished" };
  if (!state.launching) return { do: "vanished" };
  if (status?.state === "failed")
    return {
      do: "not-started",
      error: `the start failed at step ${status.index + 1} (errno ${status.errno})`,
    };
  return { do: "not-started", error: "the engine ended before the container was started" };
}
