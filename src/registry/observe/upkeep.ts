/** What /metrics tells of the registry's upkeep: the collector of this instance, and the last scrub, which a command has made. */
import type { CollectReport } from "../collector.ts";
import type { ScrubReport } from "../scrub.ts";
import type { Sql } from "../sql.ts";
import { Counter, Histogram, printGauge } from "./prometheus.ts";

export class CollectorMetrics {
  readonly #runs = new Counter(
    "gantry_registry_collector_runs_total",
    "Runs of the collector by how they ended.",
  );
  readonly #freed = new Counter(
    "gantry_registry_collector_freed_total",
    "What the collector has freed, by kind.",
  );
  readonly #seconds = new Histogram(
    "gantry_registry_collector_seconds",
    "How long runs of the collector took.",
  );
  #lastMs = 0;
  #missing = 0;

  readonly note = (report: CollectReport | undefined, ms: number): void => {
    this.#runs.add({ result: report === undefined ? "failed" : report.busy ? "busy" : "done" });
    if (report === undefined || report.busy) return;
    this.#seconds.observe({}, ms / 1000);
    this.#lastMs = Date.now();
    this.#missing = report.missing.length;
    for (const kind of ["blobs", "bytes", "uploads", "links", "repositories"] as const)
      this.#freed.add({ kind }, report[kind]);
    this.#freed.add({ kind: "orphan-bytes" }, report.orphans);
  };

  print(): string {
    return [
      ...[this.#runs, this.#freed, this.#seconds].map((one) => one.print()),
      printGauge(
        "gantry_registry_collector_last_seconds",
        "When the collector last ended, in seconds since 1970.",
        this.#lastMs / 1000,
      ),
      printGauge(
        "gantry_registry_collector_missing",
        "Blobs that were needed and had no bytes, in the last run.",
        this.#missing,
      ),
    ].join("");
  }
}

/** Keeps what a scrub has found for whoever looks at the metrics of any instance. */
export async function noteScrub(sql: Sql, report: ScrubReport, nowMs: number): Promise<void> {
  await sql.query(
    "INSERT INTO setting VALUES ('scrub', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [nowMs, report.blobs, report.bytes, report.damaged.length].join(" "),
  );
}

/** Nothing before the first scrub. */
export async function printScrub(sql: Sql): Promise<string> {
  const [row] = await sql.query("SELECT value FROM setting WHERE name = 'scrub'");
  if (row === undefined) return "";
  const [atMs = 0, blobs = 0, bytes = 0, damaged = 0] = String(row["value"]).split(" ").map(Number);
  return [
    printGauge(
      "gantry_registry_scrub_last_seconds",
      "When the last scrub ended, in seconds since 1970.",
      atMs / 1000,
    ),
    printGauge("gantry_registry_scrub_blobs", "Blobs that the last scrub read.", blobs),
    printGauge("gantry_registry_scrub_bytes", "Bytes that the last scrub read.", bytes),
    printGauge("gantry_registry_scrub_damaged", "Blobs that the last scrub put aside.", damaged),
  ].join("");
}
