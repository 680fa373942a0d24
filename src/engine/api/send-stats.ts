/** GET /containers/{id}/stats: one sample, or one a second. */
import type { ServerResponse } from "node:http";
import { GantryError } from "../../lib/index.ts";
import type { ContainerStats } from "../containers/stats.ts";
import { writeTo } from "./output.ts";
import { flagOf } from "./query.ts";
import type { Call } from "./router.ts";
import { wireStats } from "./wire-stats.ts";

const intervalMs = 1000;

/** @param read takes a sample; its "not-found" ends a stream: the container is gone */
export async function sendStats(
  read: () => ContainerStats,
  { query, signal }: Call,
  response: ServerResponse,
): Promise<void> {
  const stream = flagOf(query, "stream", true);
  let before: ContainerStats | undefined;
  let now = read();
  response.setHeader("Content-Type", "application/json");
  if (!stream) {
    // Percentages need two samples, unless the client makes them itself.
    if (!flagOf(query, "one-shot") && now.running) {
      await pause(signal);
      before = now;
      now = tryRead(read) ?? now;
    }
    return void response.end(`${JSON.stringify(wireStats(now, before))}\n`);
  }
  response.flushHeaders();
  while (!signal.aborted) {
    await writeTo(response, `${JSON.stringify(wireStats(now, before))}\n`);
    await pause(signal);
    const next = signal.aborted ? undefined : tryRead(read);
    if (next === undefined) break;
    before = now;
    now = next;
  }
  response.end();
}

function tryRead(read: () => ContainerStats): ContainerStats | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof GantryError && error.code === "not-found") return undefined;
    throw error;
  }
}

/** Waits until the next sample is due or the client has gone. */
function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, intervalMs);
    signal.addEventListener("abort", done);
  });
}
