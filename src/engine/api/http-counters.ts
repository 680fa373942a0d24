/** Counts of what the HTTP face did, for GET /metrics (Prometheus text format 0.0.4). */
export class HttpCounters {
  readonly #answered = new Map<string, number>();
  #open = 0;

  opened(): void {
    this.#open++;
  }

  closed(): void {
    this.#open--;
  }

  answered(method: string, status: number): void {
    // The method is the client's word: only known ones become labels.
    const name = ["GET", "HEAD", "POST", "PUT", "DELETE"].includes(method) ? method : "other";
    const key = `method="${name}",code="${status}"`;
    this.#answered.set(key, (this.#answered.get(key) ?? 0) + 1);
  }

  /** The metrics as text. */
  render(): string {
    const lines = [
      "# HELP gantry_http_requests_total Requests answered by the engine's API.",
      "# TYPE gantry_http_requests_total counter",
      ...[...this.#answered]
        .sort()
        .map(([labels, count]) => `gantry_http_requests_total{${labels}} ${count}`),
      "# HELP gantry_http_requests_open Requests and joined sessions under way.",
      "# TYPE gantry_http_requests_open gauge",
      `gantry_http_requests_open ${this.#open}`,
    ];
    return `${lines.join("\n")}\n`;
  }
}
