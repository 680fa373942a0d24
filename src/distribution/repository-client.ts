/** Requests to one repository at one address: authenticated, and tried again while that has sense. */
import { GantryError } from "../lib/index.ts";
import type { Authenticator } from "./auth.ts";
import { registryError } from "./registry-error.ts";
import { delayBefore, isPassing, retryAfterMs, type RetryPolicy, usualRetries } from "./retry.ts";
import type { HttpAnswer, HttpRequest, Transport } from "./transport.ts";

export interface RepositoryClientOptions {
  /** `https://registry.example.com`, without the path. */
  readonly base: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly transport: Transport;
  readonly authenticator: Authenticator;
  /** `pull`, or `pull,push`. */
  readonly actions: string;
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
  readonly signal?: AbortSignal | undefined;
}

export class RepositoryClient {
  readonly path: string;
  readonly base: string;
  readonly #options: RepositoryClientOptions;

  constructor(options: RepositoryClientOptions) {
    this.#options = options;
    this.path = options.path;
    this.base = options.base;
  }

  get host(): string {
    return new URL(this.base).host;
  }

  /** @throws {GantryError} with the registry's words when the status is another than expected */
  async request(request: RepositoryRequest): Promise<HttpAnswer> {
    const policy = this.#options.retries ?? usualRetries;
    for (let tried = 1; ; tried++) {
      const outcome = await this.#try(request).catch((error: unknown) => failureOf(error));
      const failed = outcome instanceof GantryError;
      if (!failed && (request.expect.includes(outcome.status) || !isPassing(outcome.status)))
        return this.#expected(outcome, request);
      const after = failed ? undefined : retryAfterMs(outcome.headers.get("retry-after"), Date.now());
      const wait =
        request.once === true || (failed && !isWorthIt(outcome))
          ? undefined
          : delayBefore(policy, tried, after, Math.random());
      if (wait === undefined) throw failed ? outcome : await registryError(outcome, request.doing);
      if (!failed) await outcome.cancel();
      await pause(wait, request.signal);
    }
  }

  /** An address that the registry has named in a Location header. @throws {GantryError} "unavailable" */
  located(location: string | null, doing: string): URL {
    const base = `${this.base}/v2/`;
    if (location === null || !URL.canParse(location, base))
      throw new GantryError("unavailable", `${doing}: ${this.host} does not say where to`);
    return new URL(location, base);
  }

  async #expected(answer: HttpAnswer, request: RepositoryRequest): Promise<HttpAnswer> {
    if (request.expect.includes(answer.status)) return answer;
    throw await registryError(answer, request.doing);
  }

  async #try(request: RepositoryRequest): Promise<HttpAnswer> {
    const { transport, authenticator } = this.#options;
    const own = new URL(this.base).host;
    const url =
      request.to instanceof URL ? request.to : new URL(`${this.base}/v2/${this.path}/${request.to}`);
    const scopes = [`repository:${this.path}:${this.#options.actions}`, ...(request.scopes ?? [])];
    const send = (header: string | undefined): Promise<HttpAnswer> => {
      // Somebody else's address gets no credentials of ours.
      const authorization = header === undefined || url.host !== own ? {} : { Authorization: header };
      return transport.send({
        method: request.method,
        url,
        headers: { ...request.headers, ...authorization },
        signal: request.signal,
        ...(request.body === undefined ? {} : { body: request.body() }),
      });
    };
    const first = authenticator.header(scopes);
    const answer = await send(first);
    if (answer.status !== 401) return answer;
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
function isWorthIt(error: GantryError): boolean {
  return error.fields["tls"] !== true && (error.code === "unavailable" || error.code === "timeout");
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
