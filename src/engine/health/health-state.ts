/** What probes make of a container's health. Pure; the rules are dockerd's (moby daemon/health.go). */
import type { Healthcheck, HealthState, ProbeResult } from "../container.ts";

const keptResults = 5;
const mostOutputBytes = 4096;
const usual = { intervalMs: 30_000, timeoutMs: 30_000, startIntervalMs: 5000, retries: 3 } as const;

/** A check with everything filled in. */
export interface ProbePlan {
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in this time after the start do not count. */
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

/** Undefined: nothing is checked. @param shell of CMD-SHELL; empty: /bin/sh -c */
export function probePlan(
  check: Healthcheck | undefined,
  shell: readonly string[] = [],
): ProbePlan | undefined {
  const [kind, ...words] = check?.Test ?? [];
  if (check === undefined || kind === undefined || kind === "NONE") return undefined;
  const ms = (nanoseconds: number | undefined, otherwise: number): number =>
    nanoseconds === undefined || nanoseconds === 0 ? otherwise : nanoseconds / 1e6;
  return {
    command: kind === "CMD-SHELL" ? [...(shell.length > 0 ? shell : ["/bin/sh", "-c"]), ...words] : words,
    intervalMs: ms(check.Interval, usual.intervalMs),
    timeoutMs: ms(check.Timeout, usual.timeoutMs),
    startPeriodMs: ms(check.StartPeriod, 0),
    startIntervalMs: ms(check.StartInterval, usual.startIntervalMs),
    retries: check.Retries || usual.retries,
  };
}

export const startingHealth: HealthState = { status: "starting", failingStreak: 0, log: [] };

/** @param sinceStartMs from the container's start to the probe's */
export function afterProbe(
  before: HealthState,
  result: ProbeResult,
  plan: Pick<ProbePlan, "retries" | "startPeriodMs">,
  sinceStartMs: number,
): HealthState {
  const log = [...before.log, result].slice(-keptResults);
  if (result.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  const counts = before.status !== "starting" || sinceStartMs >= plan.startPeriodMs;
  const failingStreak = before.failingStreak + (counts ? 1 : 0);
  return { status: failingStreak >= plan.retries ? "unhealthy" : before.status, failingStreak, log };
}

/** Milliseconds until the next probe. */
export function untilNextProbe(health: HealthState, plan: ProbePlan, sinceStartMs: number): number {
  const isYoung = health.status === "starting" && sinceStartMs < plan.startPeriodMs;
  return isYoung ? plan.startIntervalMs : plan.intervalMs;
}

/** Output of a probe, cut to what is kept. */
export class ProbeOutput {
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #cut = false;

  add(piece: Uint8Array): void {
    const room = mostOutputBytes - this.#bytes;
    if (piece.length > room) this.#cut = true;
    if (room === 0) return;
    this.#pieces.push(piece.slice(0, room));
    this.#bytes += Math.min(room, piece.length);
  }

  toString(): string {
    return `${Buffer.concat(this.#pieces).toString()}${this.#cut ? "..." : ""}`;
  }
}
