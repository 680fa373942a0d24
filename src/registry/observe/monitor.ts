/** /metrics, /healthz and /readyz: for machines that look after this one. */
import { messageOf } from "../../lib/index.ts";
import type { Sql } from "../sql.ts";
import type { Notifier } from "../webhooks/notifier.ts";
import { printStorage } from "./gauges.ts";
import type { RequestMetrics } from "./metrics.ts";
import { printGauge } from "./prometheus.ts";
import { printScrub } from "./upkeep.ts";

export interface MonitorOptions {
  readonly sql: Sql;
  readonly requests: RequestMetrics;
  readonly notifier: Notifier;
  /** More lines of metrics: of the collector. */
  readonly more?: (() => string) | undefined;
}

export class Monitor {
  readonly #options: MonitorOptions;
  #ending = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** From now on not ready: load balancers take the instance out. */
  end(): void {
    this.#ending = true;
  }

  /** Health alone, which everybody may know; undefined: not one of its addresses. */
  async health(pathname: string): Promise<Response | undefined> {
    if (pathname === "/healthz") return new Response("ok\n");
    if (pathname !== "/readyz") return undefined;
    if (this.#ending) return new Response("ending\n", { status: 503 });
    try {
      await this.#options.sql.query("SELECT 1 AS one");
      return new Response("ok\n");
    } catch (error) {
      return new Response(`the database does not answer: ${messageOf(error)}\n`, { status: 503 });
    }
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/metrics")
      return (await this.health(pathname)) ?? new Response("not found\n", { status: 404 });
    return new Response(await this.#print(), { headers: { "Content-Type": "text/plain; version=0.0.4" } });
  };

  async #print(): Promise<string> {
    const { sql, requests, notifier, more } = this.#options;
    return [
      requests.print(),
      printGauge(
        "gantry_registry_requests_running",
        "Requests whose answer has not begun.",
        requests.running,
      ),
      printGauge("gantry_registry_webhook_dropped", "Events that no queue had room for.", notifier.dropped),
      printGauge("process_resident_memory_bytes", "Memory of this process.", process.memoryUsage.rss()),
      await printStorage(sql),
      await printScrub(sql),
      more?.() ?? "",
    ].join("");
  }
}
