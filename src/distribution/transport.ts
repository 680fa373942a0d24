/**
 * HTTP to one host: its certificates and proxy, redirects followed by hand, a stalled peer given up. Knows nothing of
 * registries; credentials in the headers never leave the host they were meant for.
 */
import { rootCertificates } from "node:tls";
import { GantryError, messageOf } from "../lib/index.ts";
import type { Certificates } from "./certificates.ts";
import { connectionError } from "./connection-error.ts";
import { printable } from "./printable.ts";
import { type Environment, proxyFor } from "./proxy.ts";

export interface TransportOptions {
  readonly certificates: Certificates;
  /** Certificates are not checked. */
  readonly insecure: boolean;
  readonly environment: Environment;
  readonly userAgent: string;
  /** Without a byte in either direction for so long, a request is given up. */
  readonly stallMs: number;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
  /** The peer may think for long before it answers: it digests or moves what it was sent. */
  readonly patient?: boolean | undefined;
}

/** An answer whose body must be read or cancelled. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Where it came from in the end. */
  readonly url: URL;
  /** Ends with "timeout" when the peer stalls, "unavailable" when the connection breaks. */
  body(): AsyncGenerator<Uint8Array, void, void>;
  /** The whole body. @throws {GantryError} "corrupt" when it is longer */
  bytes(maxBytes: number): Promise<Uint8Array>;
  /** Lets go of the body. */
  cancel(): Promise<void>;
}

const maxRedirects = 10;
/** How many times longer a patient request waits. */
const patience = 10;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Headers that are for the first host alone. */
const secrets: readonly string[] = ["authorization", "cookie"];

export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** One try. @throws {GantryError} "unavailable", "timeout", "canceled", "denied" for a redirect that is not followed */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const origin = request.url;
    let url = origin;
    let headers = { ...request.headers };
    for (let hops = 0; ; hops++) {
      const answer = await this.#once({ ...request, url, headers }, url.host === origin.host);
      const location = answer.headers.get("location");
      const follows = redirects.has(answer.status) && (request.method === "GET" || request.method === "HEAD");
      if (!follows || location === null) return answer;
      await answer.cancel();
      if (hops === maxRedirects)
        throw new GantryError("unavailable", `${origin.host} redirects more than ${maxRedirects} times`);
      url = this.#target(location, url);
      if (!isSamePlace(url, origin))
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => !secrets.includes(name.toLowerCase())),
        );
    }
  }

  #target(location: string, from: URL): URL {
    if (!URL.canParse(location, from.href))
      throw new GantryError(
        "unavailable",
        `${from.host} redirects to ${JSON.stringify(printable(location, 200))}, which is no address`,
      );
    const to = new URL(location, from);
    if (to.protocol !== "https:" && to.protocol !== "http:")
      throw new GantryError(
        "denied",
        `${from.host} redirects to a ${to.protocol} address, which is not followed`,
      );
    if (from.protocol === "https:" && to.protocol === "http:" && !this.#options.insecure)
      throw new GantryError("denied", `${from.host} redirects from https to http, which is not followed`, {
        hint: `if that is meant, configure the registry as insecure: gantry engine --insecure-registry ${from.host}`,
      });
    to.username = "";
    to.password = "";
    return to;
  }

  async #once(request: HttpRequest, own: boolean): Promise<HttpAnswer> {
    const { stallMs } = this.#options;
    const proxy = this.#proxy(request.url);
    const via = proxy === undefined ? "" : ` by the proxy ${new URL(proxy).host}`;
    const watch = new Watch(request.patient === true ? stallMs * patience : stallMs, via, request.signal);
    const { body } = request;
    try {
      const response = await fetch(request.url, {
        method: request.method,
        redirect: "manual",
        // What a digest names are the bytes as they are kept.
        decompress: false,
        headers: { "User-Agent": this.#options.userAgent, "Accept-Encoding": "identity", ...request.headers },
        signal: watch.signal,
        ...(body === undefined ? {} : { body: bodyOf(body, watch) }),
        ...this.#connection(request.url, own),
      });
      watch.touch();
      return new Answer(response, request.url, watch);
    } catch (error) {
      watch.end();
      throw watch.explain(error, request.url);
    }
  }

  #proxy(url: URL): string | undefined {
    return proxyFor(url, this.#options.environment);
  }

  /** What we show and trust. Another host after a redirect sees no client certificate of ours. */
  #connection(url: URL, own: boolean): BunFetchRequestInit {
    const { certificates, insecure } = this.#options;
    const proxy = this.#proxy(url);
    const { ca, cert, key } = certificates;
    const tls = {
      ...(ca.length === 0 ? {} : { ca: [...rootCertificates, ...ca] }),
      ...(own && cert !== undefined ? { cert, key } : {}),
      ...(own && insecure ? { rejectUnauthorized: false } : {}),
    };
    return {
      // Bun would read the environment by itself, and differently: what is decided here counts.
      proxy: proxy === undefined ? false : { url: proxy, respectNoProxy: false },
      ...(url.protocol === "https:" && Object.keys(tls).length > 0 ? { tls } : {}),
    };
  }
}

/** True where credentials for `own` may go to, too: the same host, and not in plain text instead of by TLS. */
export function isSamePlace(url: URL, own: URL): boolean {
  return url.host === own.host && !(own.protocol === "https:" && url.protocol !== "https:");
}

/** Ends a request when nothing moves, or its caller wants no more. */
class Watch {
  readonly #controller = new AbortController();
  readonly #limitMs: number;
  readonly #via: string;
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stalled = false;

  /** @param via how the peer is reached, for messages */
  constructor(limitMs: number, via: string, outer: AbortSignal | undefined) {
    this.#limitMs = limitMs;
    this.#via = via;
    this.#outer = outer;
    this.#onAbort = () => this.#controller.abort(outer?.reason);
    if (outer?.aborted === true) this.#onAbort();
    outer?.addEventListener("abort", this.#onAbort, { once: true });
    this.touch();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  touch(): void {
    if (this.#timer !== undefined) this.#timer.refresh();
    else
      this.#timer = setTimeout(() => {
        this.#stalled = true;
        this.#controller.abort();
      }, this.#limitMs);
  }

  /** Time passes for us, not for the peer: whoever takes the bytes is slow. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  end(): void {
    this.pause();
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }

  explain(error: unknown, url: URL): GantryError {
    if (error instanceof GantryError) return error;
    if (this.#stalled)
      return new GantryError(
        "timeout",
        `${url.host} has not answered for ${Math.round(this.#limitMs / 1000)} seconds`,
        {
          cause: error,
          hint: "is the registry overloaded, or the network cut?",
        },
      );
    if (this.#outer?.aborted === true)
      return new GantryError("canceled", `canceled: ${messageOf(this.#outer.reason)}`, { cause: error });
    return connectionError(error, url, this.#via);
  }
}

type BodyInit = Uint8Array<ArrayBuffer> | string | ReadableStream<Uint8Array>;

function bodyOf(body: NonNullable<HttpRequest["body"]>, watch: Watch): BodyInit {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return new Uint8Array(body);
  const iterator = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      // Making the bytes is our own time, sending them is the peer's.
      watch.pause();
      const next = await iterator.next();
      watch.touch();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

class Answer implements HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly url: URL;
  readonly #response: Response;
  readonly #watch: Watch;

  constructor(response: Response, url: URL, watch: Watch) {
    this.status = response.status;
    this.headers = response.headers;
    this.url = url;
    this.#response = response;
    this.#watch = watch;
  }

  async *body(): AsyncGenerator<Uint8Array, void, void> {
    const stream = this.#response.body;
    try {
      if (stream === null) return;
      this.#watch.touch();
      for await (const chunk of stream as ReadableStream<Uint8Array>) {
        this.#watch.pause();
        yield chunk;
        this.#watch.touch();
      }
    } catch (error) {
      throw this.#watch.explain(error, this.url);
    } finally {
      this.#watch.end();
    }
  }

  async bytes(maxBytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.body()) {
      length += chunk.length;
      if (length > maxBytes)
        throw new GantryError("corrupt", `${this.url.host} answered with more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  async cancel(): Promise<void> {
    this.#watch.end();
    // A body that has failed already cannot be cancelled, and need not.
    await this.#response.body?.cancel().catch(() => undefined);
  }
}
