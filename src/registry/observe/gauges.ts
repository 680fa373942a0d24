/** What the registry holds at the moment of a scrape. */
import type { Sql } from "../sql.ts";
import { printGauge } from "./prometheus.ts";

export async function printStorage(sql: Sql): Promise<string> {
  const of = async (query: string): Promise<number> => Number((await sql.query(query))[0]?.["n"] ?? 0);
  const gauges: readonly (readonly [name: string, help: string, query: string])[] = [
    ["repositories", "Repositories.", "SELECT count(*) AS n FROM repository"],
    ["tags", "Tags.", "SELECT count(*) AS n FROM tag"],
    ["manifests", "Manifests.", "SELECT count(*) AS n FROM manifest"],
    ["manifest_bytes", "Bytes of manifests.", "SELECT sum(size) AS n FROM manifest"],
    ["blobs", "Blobs, each once.", "SELECT count(*) AS n FROM blob"],
    ["blob_bytes", "Bytes of blobs, each once.", "SELECT sum(size) AS n FROM blob"],
    ["uploads", "Uploads that have begun and not ended.", "SELECT count(*) AS n FROM upload"],
    [
      "webhook_waiting",
      "Deliveries that wait.",
      "SELECT count(*) AS n FROM webhook_delivery WHERE state = 'waiting'",
    ],
    [
      "webhook_dead",
      "Deliveries that were given up.",
      "SELECT count(*) AS n FROM webhook_delivery WHERE state = 'dead'",
    ],
  ];
  let text = "";
  for (const [name, help, query] of gauges)
    text += printGauge(`gantry_registry_${name}`, help, await of(query));
  return text;
}
