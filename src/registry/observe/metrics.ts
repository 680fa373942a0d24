/** What /metrics tells of requests: counted at the door, by route and not by address, so that their number is bounded. */
import { Counter, Histogram } from "./prometheus.ts";

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

/** The kind of address a path is. */
export function routeOf(pathname: string): string {
  if (pathname === "/v2/" || pathname === "/v2") return "ping";
  if (pathname === "/token") return "token";
  if (pathname === "/v2/_catalog") return "catalog";
  if (!pathname.startsWith("/v2/")) return "other";
  const [first = "", second = "", third = ""] = pathname.split("/").slice(-3);
  if (second === "tags" && third === "list") return "tags";
  if ((first === "blobs" && second === "uploads") || (second === "blobs" && third === "uploads"))
    return "uploads";
  return ["manifests", "blobs", "referrers"].find((kind) => kind === second) ?? "other";
}

export class RequestMetrics {
  readonly #requests = new Counter("gantry_registry_requests_total", "Requests answered.");
  readonly #bytesIn = new Counter(
    "gantry_registry_received_bytes_total",
    "Bytes of request bodies, as announced.",
  );
  readonly #bytesOut = new Counter(
    "gantry_registry_sent_bytes_total",
    "Bytes of answers' bodies, as announced.",
  );
  readonly #seconds = new Histogram(
    "gantry_registry_request_seconds",
    "From a request's head to its answer's head.",
  );
  #running = 0;

  /** Requests whose answer has not begun. */
  get running(): number {
    return this.#running;
  }

  async measure(request: Request, answer: () => Promise<Response>): Promise<Response> {
    const route = routeOf(new URL(request.url).pathname);
    const method = methods.has(request.method) ? request.method : "other";
    const started = performance.now();
    this.#running++;
    try {
      const response = await answer();
      this.#requests.add({ route, method, status: String(response.status) });
      this.#bytesIn.add({ route }, Number(request.headers.get("content-length") ?? 0) || 0);
      if (method !== "HEAD")
        this.#bytesOut.add({ route }, Number(response.headers.get("content-length") ?? 0) || 0);
      return response;
    } finally {
      this.#running--;
      this.#seconds.observe({ route, method }, (performance.now() - started) / 1000);
    }
  }

  print(): string {
    return [this.#requests, this.#bytesIn, this.#bytesOut, this.#seconds].map((one) => one.print()).join("");
  }
}
