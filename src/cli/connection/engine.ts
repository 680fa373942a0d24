/** The client of the engine's HTTP API. When no engine listens on our own socket, the first request starts one. */
import type { Globals } from "../command.ts";
import { CliError, hasErrno } from "../errors.ts";
import { type Endpoint, openEndpoint } from "../endpoint/open-endpoint.ts";
import type { SshTunnel } from "../endpoint/ssh-tunnel.ts";
import { type Address, formatTarget, tlsOptions } from "./address.ts";

export interface RequestOptions {
  readonly query?:
    Readonly<Record<string, string | number | boolean | readonly string[] | undefined>> | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; a function, so that the request can be sent again after an engine was started. */
  readonly body?: () => Exclude<Bun.BodyInit, null | undefined>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** false: never start an engine for this request. */
  readonly mayStart?: boolean;
}

/** How an engine is connected to; an Error where flags, environment or context name none. */
type Way =
  | { readonly endpoint: Endpoint; readonly address: Address; readonly tunnel?: SshTunnel }
  | { readonly wrong: unknown };

export class Engine {
  readonly #globals: Globals;
  readonly #way: Way;
  #started = false;

  private constructor(globals: Globals, way: Way) {
    this.#globals = globals;
    this.#way = way;
  }

  /** Nothing is connected yet, and what is wrong with the address is told by the first use: not every command needs one. */
  static async open(globals: Globals): Promise<Engine> {
    return new Engine(globals, await findWay(globals));
  }

  /** What is connected to; with ssh, the tunnel's near end. @throws {CliError} when flags, environment or context name no engine */
  get address(): Address {
    return this.#found.address;
  }

  get #found(): Exclude<Way, { readonly wrong: unknown }> {
    if ("wrong" in this.#way) throw this.#way.wrong;
    return this.#way;
  }

  /** Where the user said the engine is. */
  get where(): string {
    return formatTarget(this.#found.endpoint.target);
  }

  /** After a command. @returns whether something may still run that would keep the program from its end */
  close(): boolean {
    if ("wrong" in this.#way || this.#way.tunnel === undefined) return false;
    this.#way.tunnel.close();
    return true;
  }

  /** What ended a command, with what ssh has said of it. */
  explained(error: unknown): unknown {
    if ("wrong" in this.#way) return error;
    const complaint = this.#way.tunnel?.complaint ?? "";
    if (complaint === "") return error;
    return new CliError(`cannot connect to the engine at ${this.where}: ${complaint}`, {
      hint: "try the way by hand: ssh HOST gantry system dial-stdio",
    });
  }

  /** One request. @throws {CliError} when the engine cannot be reached or refuses */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const response = await this.reach(() => this.#fetch(method, path, options), options.mayStart ?? true);
    if (response.status >= 400) throw await errorOf(response);
    return response;
  }

  /** One request whose answer is JSON of the given shape: the wire's edge, the engine is trusted to keep its API. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.request(method, path, options);
    return (await response.json()) as T;
  }

  /** One request whose answer does not matter. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<void> {
    const response = await this.request(method, path, options);
    await response.body?.cancel();
  }

  /** Runs `attempt`, which connects; starts an engine and runs it again when none listens. */
  async reach<T>(attempt: () => Promise<T>, mayStart = true): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      if (
        !hasErrno(
          error,
          "ENOENT",
          "ECONNREFUSED",
          "ConnectionRefused",
          "FailedToOpenSocket",
          "EACCES",
          "EPERM",
        )
      )
        throw error;
      if (!mayStart || this.#started || !this.#found.endpoint.own || hasErrno(error, "EACCES", "EPERM"))
        throw this.#unreachable(error);
      const { startEngine } = await import("./start-engine.ts");
      await startEngine(this.#globals);
      this.#started = true;
      return attempt();
    }
  }

  #fetch(method: string, path: string, options: RequestOptions): Promise<Response> {
    const { address } = this;
    const headers: Record<string, string> = { ...options.headers };
    let body: Exclude<Bun.BodyInit, null | undefined> | undefined = options.body?.();
    if (options.json !== undefined) {
      headers["Content-Type"] = "application/json";
      body = JSON.stringify(options.json);
    }
    const init: BunFetchRequestInit = {
      method,
      headers,
      // A wait or a log that is followed may be silent for days.
      timeout: false,
      ...(body === undefined ? {} : { body }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(address.is === "unix" ? { unix: address.path } : {}),
      ...(address.is === "tcp" && address.tls !== undefined ? { tls: tlsOptions(address.tls) } : {}),
    };
    return fetch(`${baseUrl(address)}${path}${queryString(options.query)}`, init);
  }

  #unreachable(cause: unknown): CliError {
    const { where } = this;
    if (hasErrno(cause, "EACCES", "EPERM")) {
      return new CliError(`permission denied while connecting to the engine at ${where}`, {
        hint: "run it as root",
      });
    }
    return new CliError(`cannot connect to the engine at ${where}`, {
      hint: this.#found.endpoint.own ? "start one with: gantry engine" : "is an engine running there?",
    });
  }
}

async function findWay(globals: Globals): Promise<Way> {
  try {
    const endpoint = await openEndpoint(globals);
    if (endpoint.target.is !== "ssh") return { endpoint, address: endpoint.target };
    const { SshTunnel } = await import("../endpoint/ssh-tunnel.ts");
    const tunnel = await SshTunnel.open(endpoint.target);
    return { endpoint, tunnel, address: tunnel.address };
  } catch (wrong) {
    return { wrong };
  }
}

function baseUrl(address: Address): string {
  if (address.is === "unix") return "http://gantry";
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${address.tls === undefined ? "http" : "https"}://${host}:${address.port}`;
}

function queryString(query: RequestOptions["query"]): string {
  if (query === undefined) return "";
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === false || value === "") continue;
    const values = typeof value === "object" ? value : [value === true ? "1" : String(value)];
    for (const one of values) pairs.push(`${name}=${encodeURIComponent(one)}`);
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

/** The engine's refusal as an error: JSON `{message, hint?}`, or whatever came instead. */
async function errorOf(response: Response): Promise<CliError> {
  const text = (await response.text()).slice(0, 64 << 10);
  return refusal(response.status, text);
}

/** @param text the body of a response with an error status */
export function refusal(status: number, text: string): CliError {
  let message = text.trim();
  let hint: string | undefined;
  try {
    const parsed = JSON.parse(text) as { message?: unknown; hint?: unknown };
    if (typeof parsed.message === "string") message = parsed.message;
    if (typeof parsed.hint === "string") hint = parsed.hint;
  } catch {
    // Not JSON: a proxy or another program answered; its words are shown.
  }
  return new CliError(message === "" ? `the engine answered with HTTP status ${status}` : message, {
    status,
    hint,
  });
}

/** A name as one part of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name);
}

/** An image reference in a path: its slashes stay. */
export function imagePath(reference: string): string {
  return reference.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":").replaceAll("%40", "@");
}

/** Filters as the API takes them; undefined when there are none. */
export function filtersQuery(filters: readonly string[]): string | undefined {
  if (filters.length === 0) return undefined;
  const map: Record<string, string[]> = {};
  for (const filter of filters) {
    const at = filter.indexOf("=");
    (map[filter.slice(0, at)] ??= []).push(filter.slice(at + 1));
  }
  return JSON.stringify(map);
}
