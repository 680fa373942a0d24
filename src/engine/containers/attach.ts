/** Attaching to a container: what its log holds, what it says from now on, or both. */
import { GantryError } from "../../lib/index.ts";
import type { AttachSession, AttachStreams } from "../../runtime/index.ts";
import { isAlive } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { containerPaths } from "../paths.ts";
import { endedSession } from "./attachments.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { LogThenLive } from "./log-session.ts";
import { containerLogs } from "./logs.ts";

/** The log may say again what was written in this time after the attaching, so that nothing is missing. */
const overlapMs = 2;

export interface AttachRequest {
  readonly streams: AttachStreams;
  /** First what its log holds. */
  readonly logs: boolean;
  /** Then what it says from now on. */
  readonly stream: boolean;
  readonly detachKeys?: string;
}

/** @throws {GantryError} "conflict" when it is paused or being removed; "unavailable" when its monitor does not answer */
export async function attachContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  stored: StoredContainer,
  request: AttachRequest,
): Promise<AttachSession> {
  const live = request.stream
    ? await attachLive(context, lifecycle, stored, request.streams)
    : endedSession(undefined);
  if (!request.logs) return live;
  const { streams } = request;
  // What is written from now on comes live, also a line of this very moment that the monitor sees before it sees this client.
  const untilNs = request.stream ? BigInt(Date.now() + overlapMs) * 1_000_000n : 0n;
  const query = {
    stdout: streams.stdout,
    stderr: streams.stderr,
    timestamps: false,
    sinceNs: 0n,
    untilNs,
    tail: "all",
  } as const;
  const end = new AbortController();
  const log = containerLogs(context, lifecycle, stored, {
    query,
    follow: false,
    framed: true,
    signal: end.signal,
  });
  return new LogThenLive(log, end, live);
}

/** In line with starts: it either runs and is attached to, or waits for its start. */
function attachLive(
  { paths, runtime, store }: EngineContext,
  lifecycle: Lifecycle,
  { record }: StoredContainer,
  streams: AttachStreams,
): Promise<AttachSession> {
  return lifecycle.locks.run(record.id, () => {
    const { state } = store.get(record.id);
    if (state.status === "paused") {
      throw new GantryError(
        "conflict",
        `container ${record.id} is paused, unpause the container before attach`,
      );
    }
    if (state.status === "removing" || state.status === "dead") {
      throw new GantryError("conflict", `container ${record.id} is marked for removal`);
    }
    if (!isAlive(state.status)) return lifecycle.attachments.wait(record.id, streams);
    return runtime.attach(containerPaths(paths, record.id).monitorSocket, streams);
  });
}
