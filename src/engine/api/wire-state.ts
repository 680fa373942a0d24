/** A container's state as GET /containers/json and /containers/{id}/json tell it. Pure. */
import type { ContainerState, HealthState } from "../container.ts";
import { formatDuration } from "./format-duration.ts";

const zeroTime = "0001-01-01T00:00:00Z";

/** Go's zero time where nothing has happened yet. */
export const isoTime = (ms: number): string => (ms === 0 ? zeroTime : new Date(ms).toISOString());

/** `Up 5 minutes`, `Exited (0) 3 seconds ago`, … */
export function statusText(state: ContainerState, nowMs: number): string {
  const since = (ms: number): string => formatDuration(nowMs - ms);
  switch (state.status) {
    case "running":
      return `Up ${since(state.startedAtMs)}${healthText(state)}`;
    case "paused":
      return `Up ${since(state.startedAtMs)} (Paused)`;
    case "restarting":
      return `Restarting (${state.exitCode}) ${since(state.finishedAtMs)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "created":
      return "Created";
    case "exited":
      return `Exited (${state.exitCode}) ${since(state.finishedAtMs)} ago`;
  }
}

function healthText({ health }: ContainerState): string {
  if (health === null) return "";
  return health.status === "starting" ? " (health: starting)" : ` (${health.status})`;
}

/** `State` of an inspected container. */
export function wireState(state: ContainerState): unknown {
  return {
    Status: state.status,
    Running: state.status === "running" || state.status === "paused" || state.status === "restarting",
    Paused: state.status === "paused",
    Restarting: state.status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: state.status === "dead",
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: isoTime(state.startedAtMs),
    FinishedAt: isoTime(state.finishedAtMs),
    ...(state.health === null ? {} : { Health: wireHealth(state.health) }),
  };
}

function wireHealth({ status, failingStreak, log }: HealthState): object {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ startMs, endMs, exitCode, output }) => ({
      Start: isoTime(startMs),
      End: isoTime(endMs),
      ExitCode: exitCode,
      Output: output,
    })),
  };
}
