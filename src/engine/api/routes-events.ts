/** GET /events. */
import type { ServerResponse } from "node:http";
import type { EngineEvent } from "../events.ts";
import type { ApiEngine } from "./api-engine.ts";
import { type Filters, parseFilters } from "./filters.ts";
import { timeOf } from "./query.ts";
import type { Call, Router } from "./router.ts";
import { eventFilters, eventLine, fitsEvent } from "./wire-event.ts";

/** A client that lets more than this pile up is cut off. */
const mostWaitingBytes = 4 << 20;
/** The longest time that a timer can wait. */
const longestTimer = 2_147_483_647;

export function addEventRoutes(router: Router, engine: ApiEngine): void {
  router.stream("GET", "/events", (call, response) => events(engine, call, response));
}

function events(
  { events: bus }: ApiEngine,
  { query, signal }: Call,
  response: ServerResponse,
): Promise<void> {
  const filters = parseFilters(query.get("filters"), eventFilters);
  const sinceNs = timeOf(query, "since");
  const untilNs = timeOf(query, "until");
  response.setHeader("Content-Type", "application/json");
  response.flushHeaders();
  if (sinceNs !== 0n) {
    for (const event of bus.recent()) if (event.timeNs >= sinceNs) send(response, event, filters, untilNs);
  }
  const leftMs = untilNs === 0n ? longestTimer : Number(untilNs / 1_000_000n) - Date.now();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      unsubscribe();
      response.end();
      resolve();
    };
    const unsubscribe = bus.subscribe((event) => send(response, event, filters, untilNs));
    const timer = setTimeout(end, Math.min(longestTimer, Math.max(0, leftMs)));
    if (untilNs === 0n) clearTimeout(timer);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted || leftMs <= 0) end();
  });
}

function send(response: ServerResponse, event: EngineEvent, filters: Filters, untilNs: bigint): void {
  if ((untilNs !== 0n && event.timeNs > untilNs) || !fitsEvent(event, filters)) return;
  if (response.writableLength > mostWaitingBytes) response.destroy();
  else response.write(eventLine(event));
}
