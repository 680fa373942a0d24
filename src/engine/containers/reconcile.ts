/** The first work of an engine: find the containers of an earlier one again, end what it began, clear away what belongs to nobody. */
import { existsSync } from "node:fs";
import { messageOf } from "../../lib/index.ts";
import { setFrozen, type Started, type StatusFile } from "../../runtime/index.ts";
import { isAlive } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { cgroupPath, containerPaths } from "../paths.ts";
import { afterVanish, clearLeftovers, tryReadStatus } from "./after-vanish.ts";
import { firstLook, verdict } from "./decide-reconcile.ts";
import { eachBounded } from "./each-bounded.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { clearOrphans } from "./orphans.ts";
import { isSameProcess } from "./same-process.ts";

const parallel = 16;
/** How long a monitor that was being spawned may take to say how it went. */
const launchDeadlineMs = 2000;
const launchLookMs = 20;

export class Reconciler {
  readonly #context: EngineContext;
  readonly #lifecycle: Lifecycle;

  constructor(context: EngineContext, lifecycle: Lifecycle) {
    this.#context = context;
    this.#lifecycle = lifecycle;
  }

  /** Resolves when every container's state is true again. Automatic starts and clearing away go on after it. */
  async run(): Promise<void> {
    const { store, networks, logger } = this.#context;
    const all = store.list();
    const looks = all.map((stored) => [stored, firstLook(stored.record, stored.state)] as const);
    const of = (look: string): StoredContainer[] =>
      looks.filter(([, each]) => each === look).map(([stored]) => stored);
    await eachBounded(of("inspect"), parallel, (stored) =>
      this.#guarded(stored, () => this.#inspect(stored)),
    );
    const alive = store.list().filter(({ state }) => isAlive(state.status));
    // Processes first: what they hold of the network can be cleared away then.
    await clearOrphans(this.#context);
    await networks.reconcile(new Set(alive.map(({ record }) => record.id)));
    await eachBounded(of("remove"), parallel, (stored) => this.#guarded(stored, () => this.#remove(stored)));
    for (const { record } of of("start")) this.#lifecycle.arm(record.id, 0);
    if (all.length > 0) logger.info("containers.found", { all: all.length, running: alive.length });
  }

  /** One container that cannot be put right must not keep the engine from the others. */
  async #guarded({ record }: StoredContainer, work: () => Promise<void>): Promise<void> {
    try {
      await this.#lifecycle.locks.run(record.id, work);
    } catch (error) {
      this.#context.logger.error("container.reconcile-failed", { id: record.id, error: messageOf(error) });
    }
  }

  async #inspect({ record, state }: StoredContainer): Promise<void> {
    const { id } = record;
    const status = state.launching ? await this.#waitForStatus(id) : this.#readStatus(id);
    const decision = verdict(state, status, status?.state === "running" && isSameProcess(status.started));
    switch (decision.do) {
      case "adopt":
        if (status?.state === "running") await this.#adopt(id, status.started);
        return;
      case "finish":
      case "vanished":
        if (state.launching) this.#becomeRunning(id, undefined);
        await this.#lifecycle.finish(id, await afterVanish(this.#context, id));
        return;
      case "not-started":
        await clearLeftovers(this.#context, id);
        this.#context.store.update(id, { launching: false, error: decision.error, exitCode: 128 });
        if (record.host.AutoRemove) await this.#lifecycle.dispose(id, true);
        else if (state.status === "restarting") this.#lifecycle.arm(id, 0);
    }
  }

  /** An engine that was killed while it started a container: the monitor goes on, and writes how it went. */
  async #waitForStatus(id: string): Promise<StatusFile | undefined> {
    for (const deadline = Date.now() + launchDeadlineMs; ; await Bun.sleep(launchLookMs)) {
      const status = this.#readStatus(id);
      if (status !== undefined || Date.now() > deadline) return status;
      // No socket: no monitor came as far as to listen there.
      if (
        !existsSync(containerPaths(this.#context.paths, id).monitorSocket) &&
        Date.now() > deadline - launchDeadlineMs / 2
      )
        return undefined;
    }
  }

  #readStatus(id: string): StatusFile | undefined {
    return tryReadStatus(this.#context, containerPaths(this.#context.paths, id).status);
  }

  async #adopt(id: string, started: Started): Promise<void> {
    const { runtime, paths } = this.#context;
    let control;
    try {
      control = await runtime.connect(containerPaths(paths, id).monitorSocket);
    } catch (error) {
      // Its monitor was killed, or ended between the two looks.
      this.#context.logger.warn("monitor.unreachable", { id, error: messageOf(error) });
      this.#becomeRunning(id, started);
      await this.#lifecycle.finish(id, await afterVanish(this.#context, id));
      return;
    }
    this.#becomeRunning(id, started);
    this.#lifecycle.watch(id, control);
    if (this.#context.store.get(id).state.pausedByEngine) await this.#thaw(id);
  }

  /** An engine that was killed while it read the files of a frozen container. */
  async #thaw(id: string): Promise<void> {
    const { cgroups, paths, store } = this.#context;
    const { record } = store.get(id);
    await setFrozen(cgroups, cgroupPath(paths, record), false);
    store.update(id, { status: "running", pausedByEngine: false });
  }

  /** The start that was interrupted has succeeded. A paused container stays so. */
  #becomeRunning(id: string, started: Started | undefined): void {
    const { store } = this.#context;
    const { state } = store.get(id);
    if (!state.launching && isAlive(state.status)) return;
    store.update(id, {
      status: "running",
      launching: false,
      startedAtMs: Date.now(),
      ...(started === undefined ? {} : started),
    });
  }

  async #remove({ record }: StoredContainer): Promise<void> {
    await clearLeftovers(this.#context, record.id);
    await this.#lifecycle.dispose(record.id, record.host.AutoRemove);
  }
}
