/**
 * Asks containers with a health check how they are. It hears of starts, pauses and ends by events; each checked container has one
 * timer, others cost nothing. A probe is an exec, at most `atOnce` of them run, and none outlives its container.
 */
import { GantryError, messageOf } from "../../lib/index.ts";
import type { HealthState, ProbeResult } from "../container.ts";
import type { EngineContext } from "../context.ts";
import type { EngineEvent } from "../events.ts";
import type { Execs } from "../execs/execs.ts";
import { afterProbe, probePlan, type ProbePlan, startingHealth, untilNextProbe } from "./health-state.ts";
import { runProbe } from "./run-probe.ts";

const atOnce = 32;
/** A container with this label is restarted when it becomes unhealthy. */
export const restartLabel = "gantry.restart-unhealthy";

export interface HealthMonitorOptions {
  readonly context: EngineContext;
  readonly execs: Execs;
  /** Tells the listeners of GET /events. */
  readonly emit: (id: string, action: string) => void;
  /** Ends a container so that it is started again. */
  readonly restart: (id: string) => Promise<void>;
}

interface Watched {
  readonly plan: ProbePlan;
  timer: Timer | undefined;
  /** Aborted when the container ends, or is frozen. */
  probing: AbortController | undefined;
}

export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #waiting: (() => void)[] = [];
  readonly #unsubscribe: () => void;
  #running = 0;

  /** Containers that run already are watched on from what is recorded of them. */
  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    const { store, events } = options.context;
    this.#unsubscribe = events.subscribe((event) => this.#hear(event));
    for (const { record, state } of store.list())
      if (state.status === "running") this.#watch(record.id, state.health ?? startingHealth);
  }

  close(): void {
    this.#unsubscribe();
    for (const id of this.#watched.keys()) this.#leave(id);
  }

  /** What cannot be written down (disk full) must not break what is told of. */
  #hear(event: EngineEvent): void {
    try {
      if (event.type === "container") this.#follow(event);
    } catch (error) {
      this.#options.context.logger.error("health.failed", { id: event.id, error: messageOf(error) });
    }
  }

  #follow({ action, id }: EngineEvent): void {
    if (action === "start") this.#watch(id, startingHealth);
    else if (action === "unpause")
      this.#watch(id, this.#options.context.store.get(id).state.health ?? startingHealth);
    else if (action === "pause" || action === "destroy") this.#leave(id);
    else if (action === "die" && this.#leave(id)) this.#end(id);
  }

  #watch(id: string, health: HealthState): void {
    const { record, state } = this.#options.context.store.get(id);
    const plan = probePlan(record.config.Healthcheck, record.config.Shell);
    if (plan === undefined) return;
    this.#leave(id);
    const watched: Watched = { plan, timer: undefined, probing: undefined };
    this.#watched.set(id, watched);
    if (health !== state.health) this.#record(id, health);
    this.#arm(id, watched, health);
  }

  /** @returns whether it was watched */
  #leave(id: string): boolean {
    const watched = this.#watched.get(id);
    clearTimeout(watched?.timer);
    watched?.probing?.abort();
    return this.#watched.delete(id);
  }

  /** A container that does not run is not well, as dockerd has it; nobody is told. */
  #end(id: string): void {
    const { store } = this.#options.context;
    if (!store.has(id)) return;
    const { health } = store.get(id).state;
    if (health !== null) this.#record(id, { ...health, status: "unhealthy" });
  }

  #arm(id: string, watched: Watched, health: HealthState): void {
    const { startedAtMs } = this.#options.context.store.get(id).state;
    const delay = untilNextProbe(health, watched.plan, Date.now() - startedAtMs);
    watched.timer = setTimeout(() => void this.#probe(id, watched), delay);
  }

  async #probe(id: string, watched: Watched): Promise<void> {
    const { context, execs } = this.#options;
    const probing = new AbortController();
    watched.probing = probing;
    await this.#turn();
    try {
      if (probing.signal.aborted) return;
      const { startedAtMs } = context.store.get(id).state;
      const result = await runProbe(execs, id, watched.plan, probing.signal);
      if (result === undefined || this.#watched.get(id) !== watched) return;
      await this.#take(id, watched, result, result.startMs - startedAtMs);
    } catch (error) {
      context.logger.error("health.failed", { id, error: messageOf(error) });
      if (this.#watched.get(id) === watched) this.#arm(id, watched, startingHealth);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Waits until fewer than `atOnce` probes run. */
  async #turn(): Promise<void> {
    while (this.#running >= atOnce)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    this.#running += 1;
  }

  async #take(id: string, watched: Watched, result: ProbeResult, sinceStartMs: number): Promise<void> {
    const { context, emit, restart } = this.#options;
    const { record, state } = context.store.get(id);
    const before = state.health ?? startingHealth;
    const health = afterProbe(before, result, watched.plan, sinceStartMs);
    this.#record(id, health);
    if (health.status !== before.status) emit(id, `health_status: ${health.status}`);
    this.#arm(id, watched, health);
    const becameUnhealthy = health.status === "unhealthy" && before.status !== "unhealthy";
    if (!becameUnhealthy || record.config.Labels[restartLabel] !== "true") return;
    context.logger.warn("health.restart", { id, name: record.name, output: result.output.slice(0, 200) });
    await restart(id).catch((error: unknown) => {
      // It has ended by itself, or is being removed.
      if (!(error instanceof GantryError)) throw error;
    });
  }

  #record(id: string, health: HealthState): void {
    this.#options.context.store.update(id, { health });
  }
}
