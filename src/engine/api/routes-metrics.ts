/** GET /metrics: the Prometheus text format, version 0.0.4. */
import type { ApiEngine } from "./api-engine.ts";
import { engineVersion } from "./machine.ts";
import type { HttpCounters } from "./http-counters.ts";
import { Reply, type Router } from "./router.ts";

export function addMetricsRoutes(router: Router, engine: ApiEngine, counters: HttpCounters): void {
  router.json("GET", "/metrics", () => {
    const text = `${engineMetrics(engine)}${counters.render()}${engine.containers.metrics()}`;
    return new Reply(200, text, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}

function engineMetrics({ startedAtMs }: ApiEngine): string {
  return [
    "# HELP gantry_engine_info What this engine is.",
    "# TYPE gantry_engine_info gauge",
    `gantry_engine_info{version="${engineVersion}"} 1`,
    "# HELP process_start_time_seconds Start of the engine, seconds since 1970.",
    "# TYPE process_start_time_seconds gauge",
    `process_start_time_seconds ${startedAtMs / 1000}`,
    "# HELP process_resident_memory_bytes Memory of the engine's process.",
    "# TYPE process_resident_memory_bytes gauge",
    `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
    "",
  ].join("\n");
}
