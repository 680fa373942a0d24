/** Ending a running container: politely and then not, or by any signal. */
import { GantryError } from "../../lib/index.ts";
import { setFrozen } from "../../runtime/index.ts";
import { type ContainerRecord, isAlive } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { cgroupPath } from "../paths.ts";
import { parseSignal } from "../../kernel/index.ts";
import type { Lifecycle } from "./lifecycle.ts";

export interface StopOptions {
  /** Until SIGKILL; -1: for ever. Default: the container's own, else 10. */
  readonly timeoutSeconds?: number;
  /** Default: the container's own, else SIGTERM. */
  readonly signal?: string;
  /** False: it is the host that stops, and its restart policy will start it again. */
  readonly byUser?: boolean;
}

const sigkill = 9;
export const defaultTimeoutSeconds = 10;
/** For the kernel to end killed processes; one in an uninterruptible wait can take longer. */
const killDeadlineMs = 10_000;

/**
 * Resolves when it has ended (and with `--rm` is gone).
 * @throws {GantryError} "not-modified" when it does not run, "invalid" signal, "timeout" when even SIGKILL does not end it
 */
export async function stopContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  options: StopOptions,
): Promise<void> {
  const { record } = context.store.get(id);
  const signal = parseSignal(options.signal || record.config.StopSignal || "SIGTERM");
  const seconds = options.timeoutSeconds ?? record.config.StopTimeout ?? defaultTimeoutSeconds;
  // A start or a restart that is under way comes first.
  const running = await lifecycle.locks.run(id, () =>
    beginStop(context, lifecycle, id, options.byUser ?? true),
  );
  if (running === undefined) return;
  const ended = running.exited;
  await send(context, lifecycle, record, signal);
  if (!(await within(ended, seconds < 0 ? undefined : seconds * 1000))) {
    await send(context, lifecycle, record, sigkill);
    if (!(await within(ended, killDeadlineMs))) throw unkillable(id);
  }
  // The exit is recorded and told in line: after it, all of it has happened.
  await lifecycle.locks.run(id, () => undefined);
  lifecycle.emit(id, "stop");
}

/** Undefined: it waited for a restart, which is off now. Else `exited` resolves when its process has ended. */
function beginStop(
  { store }: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  byUser: boolean,
): { readonly exited: Promise<unknown> } | undefined {
  if (!store.has(id)) throw new GantryError("not-found", `No such container: ${id}`);
  if (byUser && lifecycle.cancelRestart(id)) return undefined;
  if (!isAlive(store.get(id).state.status))
    throw new GantryError("not-modified", `container ${id} is not running`);
  if (byUser) store.update(id, { stoppedByUser: true });
  // In an object: a bare promise would be waited for here, and its end needs this place in line.
  return { exited: lifecycle.control(id).exited };
}

/** A frozen process takes no signal before it is thawed. */
async function send(
  context: EngineContext,
  lifecycle: Lifecycle,
  record: ContainerRecord,
  signal: number,
): Promise<void> {
  const { id } = record;
  try {
    await lifecycle.control(id).signal(signal);
  } catch (error) {
    // "not-found", "conflict", "unavailable": it has ended meanwhile, which is what was wanted.
    if (!(error instanceof GantryError) || !["not-found", "conflict", "unavailable"].includes(error.code))
      throw error;
    return;
  }
  lifecycle.emit(id, "kill", { signal: String(signal) });
  await lifecycle.locks.run(id, async () => {
    if (!context.store.has(id) || context.store.get(id).state.status !== "paused") return;
    await setFrozen(context.cgroups, cgroupPath(context.paths, record), false);
    context.store.update(id, { status: "running" });
  });
}

async function within(promise: Promise<unknown>, ms: number | undefined): Promise<boolean> {
  if (ms === undefined) {
    await promise;
    return true;
  }
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

function unkillable(id: string): GantryError {
  return new GantryError(
    "timeout",
    `container ${id} did not end within ${killDeadlineMs / 1000} s of SIGKILL`,
    {
      hint: "a process of it hangs in the kernel; see: gantry top, dmesg",
    },
  );
}

/**
 * Sends a signal to its first process.
 * @throws {GantryError} "conflict" when it does not run, "invalid" for an unknown signal
 */
export async function killContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  name: string,
): Promise<void> {
  const signal = parseSignal(name || "SIGKILL");
  const { record, state } = context.store.get(id);
  if (lifecycle.cancelRestart(id)) return;
  if (!isAlive(state.status)) {
    throw new GantryError(
      "conflict",
      `cannot kill container: ${record.name}: container ${id} is not running`,
    );
  }
  const ends = signal === sigkill || signal === parseSignal(record.config.StopSignal || "SIGTERM");
  // The restart policy leaves it alone after that.
  if (ends) context.store.update(id, { stoppedByUser: true });
  const ended = signal === sigkill ? lifecycle.control(id).exited : undefined;
  await send(context, lifecycle, record, signal);
  if (ended === undefined) return;
  if (!(await within(ended, killDeadlineMs))) throw unkillable(id);
  await lifecycle.locks.run(id, () => undefined);
}
