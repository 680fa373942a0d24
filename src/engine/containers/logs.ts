/** The log of a container for a client. */
import { GantryError } from "../../lib/index.ts";
import { isAlive } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import type { LogQuery } from "../logs/cri-line.ts";
import { readLogs } from "../logs/read-logs.ts";
import { containerPaths } from "../paths.ts";
import type { Lifecycle } from "./lifecycle.ts";

export interface LogRequest {
  readonly query: LogQuery;
  /** Go on until it has ended. */
  readonly follow: boolean;
  /** With Docker's 8-byte header before each message. */
  readonly framed: boolean;
  readonly signal: AbortSignal;
}

/** @throws {GantryError} "unsupported" when its output is not kept (log driver none) */
export async function* containerLogs(
  context: EngineContext,
  lifecycle: Lifecycle,
  { record, state }: StoredContainer,
  request: LogRequest,
): AsyncGenerator<Uint8Array> {
  if (record.host.LogConfig.Type === "none") {
    throw new GantryError("unsupported", "configured logging driver does not support reading", {
      hint: "the container was created with --log-driver none",
    });
  }
  const { query, framed, signal } = request;
  const path = containerPaths(context.paths, record.id).log;
  const follow =
    request.follow && (isAlive(state.status) || state.status === "restarting" || state.launching);
  if (!follow) {
    yield* readLogs({ path, query, framed, signal });
    return;
  }
  // Ends the wait for the container's end when the client goes first.
  const done = new AbortController();
  const until = untilStopped(lifecycle, context, record.id, AbortSignal.any([signal, done.signal]));
  try {
    yield* readLogs({ path, query, framed, signal, until });
  } finally {
    done.abort();
  }
}

/** Resolves when it has ended and is not going to be started again by its restart policy. Never rejects. */
async function untilStopped(
  lifecycle: Lifecycle,
  { store }: EngineContext,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    while (store.has(id)) {
      const { status, launching } = store.get(id).state;
      if (!isAlive(status) && status !== "restarting" && !launching) return;
      await lifecycle.waiters.wait(id, "not-running", store.get(id).state, signal);
    }
  } catch (error) {
    // "canceled": the client has gone.
    if (!(error instanceof GantryError) || error.code !== "canceled") throw error;
  }
}
