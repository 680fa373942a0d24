/** Requests to one repository at one address: authenticated, and tried again while that has sense. */
import { GantryError } from "../lib/index.ts";
import type { Authenticator } from "./auth.ts";
import { registryError } from "./registry-error.ts";
import { delayBefore, isPassing, retryAfterMs, type RetryPolicy, usualRetries } from "./retry.ts";
import { type HttpAnswer, type HttpRequest, isSamePlace, type Transport } from "./transport.ts";

export interface RepositoryClientOptions {
  /** `https://registry.example.com`, without the path. */
  readonly base: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly transport: Transport;
  readonly authenticator: Authenticator;
  /** The right that all of its requests need: `repository:library/busybox:pull,push`. */
  readonly scope: string;
  readonly retries?: RetryPolicy;
}

export interface RepositoryRequest {
  readonly method: HttpRequest["method"];
  /** Behind `/v2/PATH/`, or a whole address that the registry has named. */
  readonly to: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each try; undefined: no body. */
  readonly body?: () => NonNullable<HttpRequest["body"]>;
  /** Statuses that are answers and not failures. */
  readonly expect: readonly number[];
  /** In words for errors: `pull registry/a/b:1`. */
  readonly doing: string;
  /** Rights beyond the usual ones. */
  readonly scopes?: readonly string[];
  /** Another try could do harm: the caller decides. */
  readonly once?: boolean;
  /** The registry digests or moves much before it answers. */
  readonly patient?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export class RepositoryClient {
  readonly path: string;
  readonly base: string;
  readonly retries: RetryPolicy;
  readonly #options: RepositoryClientOptions;

  constructor(options: RepositoryClientOptions) {
    this.#options = options;
    this.path = options.path;
    this.base = options.base;
    this.retries = options.retries ?? usualRetries;
  }

  get host(): string {
    return new URL(this.base).host;
  }

  /** @throws {GantryError} with the registry's words when the status is another than expected */
  async request(request: RepositoryRequest): Promise<HttpAnswer> {
    for (let tried = 1; ; tried++) {
      const outcome = await this.#try(request).catch((error: unknown) => failureOf(error));
      const failed = outcome instanceof GantryError;
      if (!failed && (request.expect.includes(outcome.status) || !isPassing(outcome.status)))
        return this.#expected(outcome, request);
      const after = failed ? undefined : retryAfterMs(outcome.headers.get("retry-after"), Date.now());
      const wait =
        request.once === true || (failed && !isWorthAnotherTry(outcome))
          ? undefined
          : delayBefore(this.retries, tried, after, Math.random());
      if (wait === undefined) throw failed ? outcome : await registryError(outcome, request.doing);
      if (!failed) await outcome.cancel();
      await pause(wait, request.signal);
    }
  }

  /**
   * An address that the registry has named: relative to what was asked, or whole. A registry behind a proxy that ends TLS
   * often says http of itself: what began with TLS goes on with it.
   * @throws {GantryError} "unavailable" for none, "denied" for one without TLS elsewhere
   */
  located(location: string | null, asked: URL, doing: string): URL {
    if (location === null || !URL.canParse(location, asked.href))
      throw new GantryError("unavailable", `${doing}: ${this.host} does not say where to`);
    const url = new URL(location, asked);
    const own = new URL(this.base);
    if (url.host === own.host && own.protocol === "https:") url.protocol = "https:";
    const isFit = url.protocol === "https:" || (url.protocol === "http:" && own.protocol === "http:");
    if (isFit) return url;
    throw new GantryError("denied", `${doing}: ${this.host} leads to ${url.origin}, which speaks no TLS`);
  }

  async #expected(answer: HttpAnswer, request: RepositoryRequest): Promise<HttpAnswer> {
    if (request.expect.includes(answer.status)) return answer;
    throw await registryError(answer, request.doing);
  }

  async #try(request: RepositoryRequest): Promise<HttpAnswer> {
    const { transport, authenticator } = this.#options;
    const own = new URL(this.base);
    const url =
      request.to instanceof URL ? request.to : new URL(`${this.base}/v2/${this.path}/${request.to}`);
    const scopes = [this.#options.scope, ...(request.scopes ?? [])];
    const send = (header: string | undefined): Promise<HttpAnswer> => {
      const authorization = header === undefined ? {} : { Authorization: header };
      return transport.send({
        method: request.method,
        url,
        headers: { ...request.headers, ...authorization },
        signal: request.signal,
        patient: request.patient,
        ...(request.body === undefined ? {} : { body: request.body() }),
      });
    };
    // Somebody else's address gets no credentials of ours, and what it asks for is not heard: neither where the registry
    // names it nor where a redirect leads to it.
    if (!isSamePlace(url, own)) return send(undefined);
    const first = await authenticator.header(scopes, request.signal);
    const answer = await send(first);
    if (answer.status !== 401 || !isSamePlace(answer.url, own)) return answer;
    const second = await authenticator.answer(answer, first, scopes, request.signal);
    if (second === undefined) return answer;
    await answer.cancel();
    return send(second);
  }
}

function failureOf(error: unknown): GantryError {
  if (error instanceof GantryError) return error;
  throw error;
}

/** A certificate does not become right by asking again. */
function isWorthAnotherTry(error: GantryError): boolean {
  return error.fields["tls"] !== true && (error.code === "unavailable" || error.code === "timeout");
}

/**
 * The wait before another try of something that failed as a whole; undefined: another would fail as well.
 * @param also statuses that may be another one next time, beside those that pass by themselves
 */
export function waitAfter(
  error: unknown,
  tried: number,
  policy: RetryPolicy,
  also: readonly number[] = [],
): number | undefined {
  if (!(error instanceof GantryError)) return undefined;
  const status = Number(error.fields["status"] ?? 0);
  const isBroken = isWorthAnotherTry(error) || error.fields["isShort"] === true;
  if (!isBroken && !isPassing(status) && !also.includes(status)) return undefined;
  const after = error.fields["retryAfterMs"];
  return delayBefore(policy, tried, typeof after === "number" ? after : undefined, Math.random());
}

export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
  if (signal?.aborted === true) throw new GantryError("canceled", "canceled", { cause: signal.reason });
}
