/** Who waits for containers to end or to be gone. */
import { GantryError } from "../../lib/index.ts";
import { type ContainerState, isAlive } from "../container.ts";

/** As POST /containers/{id}/wait names them. */
export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface ContainerExit {
  readonly exitCode: number;
  /** Why it could not be started again; else empty. */
  readonly error: string;
}

interface Waiter {
  readonly condition: WaitCondition;
  resolve(exit: ContainerExit): void;
}

export class Waiters {
  readonly #waiting = new Map<string, Set<Waiter>>();

  /**
   * Resolves at once where the condition holds already ("not-running").
   * @throws {GantryError} "canceled" when `signal` aborts
   */
  wait(
    id: string,
    condition: WaitCondition,
    state: ContainerState,
    signal: AbortSignal,
  ): Promise<ContainerExit> {
    if (
      condition === "not-running" &&
      !isAlive(state.status) &&
      state.status !== "restarting" &&
      !state.launching
    ) {
      return Promise.resolve({ exitCode: state.exitCode, error: state.error });
    }
    const { promise, resolve, reject } = Promise.withResolvers<ContainerExit>();
    const cancel = (): void => {
      this.#drop(id, waiter);
      reject(new GantryError("canceled", `nobody waits for container ${id} any more`));
    };
    const waiter: Waiter = {
      condition,
      resolve: (exit) => {
        signal.removeEventListener("abort", cancel);
        resolve(exit);
      },
    };
    if (signal.aborted) cancel();
    else {
      signal.addEventListener("abort", cancel, { once: true });
      this.#add(id, waiter);
    }
    return promise;
  }

  #add(id: string, waiter: Waiter): void {
    const set = this.#waiting.get(id);
    if (set === undefined) this.#waiting.set(id, new Set([waiter]));
    else set.add(waiter);
  }

  #drop(id: string, waiter: Waiter): void {
    const set = this.#waiting.get(id);
    set?.delete(waiter);
    if (set?.size === 0) this.#waiting.delete(id);
  }

  /** The container's process has ended (it may be started again). */
  exited(id: string, exit: ContainerExit): void {
    this.#tell(id, exit, ({ condition }) => condition !== "removed");
  }

  /** A start has failed. That is no exit: docker run waits for one before it starts and hears why from the start. */
  notStarted(id: string, exit: ContainerExit): void {
    this.#tell(id, exit, ({ condition }) => condition === "not-running");
  }

  /** The container is no more: nobody can wait for it any longer. That is no error, whatever its start came to. */
  removed(id: string, exitCode: number): void {
    this.#tell(id, { exitCode, error: "" }, () => true);
  }

  #tell(id: string, exit: ContainerExit, concerns: (waiter: Waiter) => boolean): void {
    for (const waiter of this.#waiting.get(id) ?? []) {
      if (!concerns(waiter)) continue;
      this.#drop(id, waiter);
      waiter.resolve(exit);
    }
  }
}
