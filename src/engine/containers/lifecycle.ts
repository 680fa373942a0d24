/**
 * From start to exit: launches, hears of exits, restarts. Every transition is written to the store first. Work on one
 * container is done in line; an idle container costs a socket to its monitor and nothing else.
 */
import { GantryError, messageOf, toGantryError } from "../../lib/index.ts";
import type { AttachSession, Exited, Launched, MonitorConnection, Started } from "../../runtime/index.ts";
import { type ContainerState, isAlive } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { nextRestart } from "../restart-policy.ts";
import { Attachments } from "./attachments.ts";
import { afterVanish } from "./after-vanish.ts";
import { containerAttributes } from "./container-events.ts";
import { dispose } from "./dispose.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import { removeLateCgroups } from "./late-cgroups.ts";
import { joinedIds } from "./joined-container.ts";
import { launchContainer, type LaunchOptions } from "./launch.ts";
import { releaseSharedMemory } from "./shared-memory.ts";
import { checkStartable, startFailure } from "./start-checks.ts";
import { Waiters } from "./waiters.ts";

/** Until the end of a container that could not be recorded is tried again. */
const exitRetryMs = 5000;
/** A container that joins another waits for that one's automatic start: at first this long, each time twice as long. */
const firstJoinWaitMs = 20;
const joinPatienceMs = 5000;
const noTerminalSize = { attach: undefined, rows: 0, cols: 0 } as const;

export interface StartOptions extends LaunchOptions {
  /** A container that was made for this start alone goes when it fails, as one with `--rm` always does. */
  readonly removeOnFailure?: boolean;
}

export class Lifecycle {
  readonly waiters = new Waiters();
  readonly attachments = new Attachments();
  readonly locks = new KeyedLocks();
  readonly #context: EngineContext;
  readonly #controls = new Map<string, MonitorConnection>();
  readonly #restarts = new Map<string, Timer>();
  /** The delay before the last automatic start. */
  readonly #delays = new Map<string, number>();
  readonly #kept = new Set<string>();
  readonly #revived = new Set<string>();
  readonly #removed: ((id: string) => void)[] = [];
  #closed = false;
  #draining = false;

  constructor(context: EngineContext) {
    this.#context = context;
  }

  /** Calls `listener` after a container has been removed. */
  onRemoved(listener: (id: string) => void): void {
    this.#removed.push(listener);
  }

  /** Tells the listeners of GET /events. A container that is gone is told of by its id alone. */
  emit(id: string, action: string, extra: Readonly<Record<string, string>> = {}): void {
    const { store, events } = this.#context;
    events.emit(
      "container",
      action,
      id,
      store.has(id) ? { ...containerAttributes(store.get(id).record), ...extra } : extra,
    );
  }

  /**
   * Starts it and, where asked, attaches from the first byte.
   * @throws {GantryError} "not-modified" when it runs; "conflict" when it is paused or being removed; why the launch failed
   */
  start(id: string, options: StartOptions = noTerminalSize): Promise<AttachSession | undefined> {
    return this.locks.run(id, async () => {
      this.#assertOpen();
      checkStartable(this.#context.store.get(id));
      this.#disarm(id);
      this.#delays.delete(id);
      try {
        return await this.#launch(id, options, { restartCount: 0, stoppedByUser: false });
      } catch (error) {
        const { AutoRemove } = this.#context.store.get(id).record.host;
        if (AutoRemove || options.removeOnFailure === true) await this.dispose(id, true);
        throw error;
      }
    });
  }

  async #launch(
    id: string,
    options: LaunchOptions,
    change: { readonly restartCount: number; readonly stoppedByUser: boolean },
  ): Promise<AttachSession | undefined> {
    const { store, networks } = this.#context;
    const pending = this.attachments.take(id);
    const streams = [
      ...(options.attach === undefined ? [] : [options.attach]),
      ...pending.map((waiting) => waiting.streams),
    ];
    try {
      const launched = await launchContainer(this.#context, store.get(id).record, change, streams, options);
      await this.#recordStart(id, launched);
      this.watch(id, launched.control);
      this.emit(id, "start");
      const sessions = [...launched.attached];
      const own = options.attach === undefined ? undefined : sessions.shift();
      pending.forEach((waiting, index) => waiting.connect(sessions[index]));
      return own;
    } catch (error) {
      networks.release(id);
      releaseSharedMemory(this.#context, store.get(id).record);
      for (const waiting of pending) waiting.connect(undefined);
      const { message, exitCode } = startFailure(error);
      const state = store.update(id, { launching: false, error: message, exitCode });
      this.waiters.notStarted(id, { exitCode: state.exitCode, error: state.error });
      throw toGantryError(error);
    }
  }

  /** A container whose start cannot be written down (disk full) must not run unknown. */
  async #recordStart(id: string, { started, control }: Launched): Promise<void> {
    try {
      this.#context.store.update(id, runningState(started));
    } catch (error) {
      await control.signal(9);
      await control.exited;
      control.close();
      throw error;
    }
  }

  /** Keeps the connection to a monitor and acts when its container ends. */
  watch(id: string, control: MonitorConnection): void {
    this.#controls.get(id)?.close();
    this.#controls.set(id, control);
    void control.exited.then((exited) => this.#ended(id, control, exited));
  }

  async #ended(id: string, control: MonitorConnection, exited: Exited | undefined): Promise<void> {
    try {
      await this.locks.run(id, async () => {
        if (this.#closed || this.#controls.get(id) !== control) return;
        await this.finish(id, exited ?? (await afterVanish(this.#context, id)));
        this.#controls.delete(id);
        control.close();
      });
    } catch (error) {
      // Disk full: until the end of a container is written down it has not happened.
      this.#context.logger.error("container.exit-failed", { id, error: messageOf(error) });
      setTimeout(() => void this.#ended(id, control, exited), exitRetryMs).unref();
    }
  }

  /** The connection to the monitor of a running container. @throws {GantryError} "conflict" when it does not run */
  control(id: string): MonitorConnection {
    const control = this.#controls.get(id);
    if (control === undefined) throw new GantryError("conflict", `container ${id} is not running`);
    return control;
  }

  /**
   * Records that it has ended, tells everybody, and does what its restart policy or `--rm` says. To be called in line.
   * A container that is being removed stays so.
   */
  async finish(id: string, exited: Exited): Promise<void> {
    const { store, networks } = this.#context;
    const { record, state } = store.get(id);
    networks.release(id);
    releaseSharedMemory(this.#context, record);
    await removeLateCgroups(this.#context, record);
    const ranMs = Math.max(0, exited.atMs - state.startedAtMs);
    const restart = nextRestart(
      this.#revived.has(id) ? { Name: "always", MaximumRetryCount: 0 } : record.host.RestartPolicy,
      { ...state, exitCode: exited.exitCode, ranMs },
      this.#delays.get(id) ?? 0,
    );
    const { exitCode, error } = store.update(id, {
      status: restart === undefined ? "exited" : "restarting",
      launching: false,
      pid: 0,
      startTime: "0",
      monitorPid: 0,
      exitCode: exited.exitCode,
      oomKilled: exited.oomKilled,
      finishedAtMs: exited.atMs,
      lostLogLines: exited.lostLogLines,
    });
    if (exited.oomKilled) this.emit(id, "oom");
    this.emit(id, "die", { exitCode: String(exitCode), execDuration: String(Math.round(ranMs / 1000)) });
    this.waiters.exited(id, { exitCode, error });
    if (restart !== undefined) this.arm(id, restart.delayMs);
    else if (record.host.AutoRemove && !this.#kept.has(id)) await this.dispose(id, true);
  }

  /** While `work` runs, the end of the container is not its removal (`restart` of one with --rm). */
  async keeping<T>(id: string, work: () => Promise<T>): Promise<T> {
    this.#kept.add(id);
    try {
      return await work();
    } finally {
      this.#kept.delete(id);
    }
  }

  /** While `work` runs, the end of the container is followed by a start, as if its policy were `always`. */
  async reviving<T>(id: string, work: () => Promise<T>): Promise<T> {
    this.#revived.add(id);
    try {
      return await work();
    } finally {
      this.#revived.delete(id);
    }
  }

  /** Starts it again after a delay; a user's start, stop or removal comes before. */
  arm(id: string, delayMs: number): void {
    if (this.#closed || this.#draining) return;
    this.#disarm(id);
    this.#delays.set(id, delayMs);
    this.#restarts.set(
      id,
      setTimeout(() => void this.#restart(id), delayMs),
    );
  }

  #disarm(id: string): void {
    clearTimeout(this.#restarts.get(id));
    this.#restarts.delete(id);
  }

  /**
   * Whether a container that this one joins will be started soon: after a reboot all start at once, and each has to find the
   * other running. Waits for a start that is under way.
   */
  async #awaitsJoined(id: string): Promise<boolean> {
    const { store } = this.#context;
    for (const other of store.has(id) ? joinedIds(this.#context, store.get(id).record) : []) {
      if (this.#restarts.has(other)) return true;
      await this.locks.run(other, () => undefined);
    }
    return false;
  }

  async #restart(id: string): Promise<void> {
    this.#restarts.delete(id);
    const { store, logger } = this.#context;
    try {
      const waitedMs = this.#delays.get(id) ?? 0;
      if (waitedMs < joinPatienceMs && (await this.#awaitsJoined(id)))
        return this.arm(id, Math.max(firstJoinWaitMs, waitedMs * 2));
      await this.locks.run(id, async () => {
        if (this.#closed || !store.has(id)) return;
        const { state } = store.get(id);
        if (isAlive(state.status) || state.status === "removing") return;
        await this.#launch(id, noTerminalSize, {
          restartCount: state.restartCount + 1,
          stoppedByUser: false,
        });
      });
    } catch (error) {
      logger.warn("container.restart-failed", { id, error: messageOf(error) });
      if (!store.has(id) || store.get(id).state.status !== "restarting") return;
      const state = store.update(id, { status: "exited" });
      this.waiters.exited(id, { exitCode: state.exitCode, error: state.error });
    }
  }

  /** A container that waits for its automatic start stays stopped. False when it does not wait. */
  cancelRestart(id: string): boolean {
    if (this.#context.store.get(id).state.status !== "restarting") return false;
    this.#disarm(id);
    this.#context.store.update(id, { status: "exited", stoppedByUser: true });
    return true;
  }

  /** Removes a stopped container and all that belongs to it. To be called in line. */
  async dispose(id: string, anonymousVolumes: boolean): Promise<void> {
    this.#disarm(id);
    const { store } = this.#context;
    const { record, state } = store.get(id);
    await dispose(this.#context, record, anonymousVolumes);
    this.#delays.delete(id);
    this.attachments.drop(id);
    this.#context.events.emit("container", "destroy", id, containerAttributes(record));
    this.waiters.removed(id, state.exitCode);
    for (const listener of this.#removed) listener(id);
  }

  #assertOpen(): void {
    if (this.#closed || this.#draining) throw new GantryError("unavailable", "the engine is shutting down");
  }

  /** From now on nothing is started; what waits for its automatic start is left to the next engine. */
  drain(): void {
    this.#draining = true;
    for (const id of this.#restarts.keys()) this.#disarm(id);
  }

  /** Lets go of all monitors; containers go on. Waits for what is being done. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const id of this.#restarts.keys()) this.#disarm(id);
    await this.locks.idle();
    for (const control of this.#controls.values()) control.close();
    this.#controls.clear();
    this.attachments.close();
  }
}

function runningState(started: Started): Partial<ContainerState> {
  return {
    status: "running",
    launching: false,
    pid: started.pid,
    startTime: started.startTime,
    monitorPid: started.monitorPid,
    startedAtMs: Date.now(),
  };
}
