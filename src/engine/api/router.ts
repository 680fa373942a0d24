/** A table of routes: method and pattern to handler. `:name` matches one path segment, `*name` any text with slashes. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { GantryError } from "../../lib/index.ts";

/** One request on its way through a handler. */
export interface Call {
  readonly request: IncomingMessage;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The API version in the path as [major, minor]; the newest where the path has none. */
  readonly version: readonly [number, number];
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

/** A handler's answer: what is not a `Reply` is sent as JSON with status 200; undefined is 204. */
export class Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

export type JsonHandler = (call: Call) => unknown;
export type StreamHandler = (call: Call, response: ServerResponse) => Promise<void> | void;
/** `head` is what the client sent after the request's body. */
export type HijackHandler = (call: Call, socket: Duplex, head: Buffer) => Promise<void> | void;

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly json?: JsonHandler;
  readonly stream?: StreamHandler;
  readonly hijack?: HijackHandler;
}

export const newestVersion = [1, 50] as const;
const oldestVersion = [1, 24] as const;

export class Router {
  readonly #routes: Route[] = [];

  /** Answers with JSON. */
  json(method: string, path: string, json: JsonHandler): void {
    this.#routes.push({ method, ...compile(path), json });
  }

  /** Writes the response itself. */
  stream(method: string, path: string, stream: StreamHandler): void {
    this.#routes.push({ method, ...compile(path), stream });
  }

  /** Takes the connection over. */
  hijack(method: string, path: string, hijack: HijackHandler): void {
    this.#routes.push({ method, ...compile(path), hijack });
  }

  /** @throws {GantryError} "not-found" (no such page) | "invalid" (API version out of range) */
  match(request: IncomingMessage, signal: AbortSignal): { readonly route: Omit<Route, "pattern" | "names">; readonly call: Call } {
    const url = new URL(request.url ?? "/", "http://engine");
    const { version, path } = splitVersion(url.pathname);
    for (const route of this.#routes) {
      if (route.method !== request.method) continue;
      const found = route.pattern.exec(path);
      if (found === null) continue;
      const params = Object.fromEntries(route.names.map((name, i) => [name, decode(found[i + 1] ?? "")]));
      return { route, call: { request, params, query: url.searchParams, version, signal } };
    }
    throw new GantryError("not-found", `page not found: ${request.method} ${path}`);
  }
}

function compile(path: string): { pattern: RegExp; names: string[] } {
  const names: string[] = [];
  const source = path.replace(/[:*](\w+)/g, (whole, name: string) => {
    names.push(name);
    return whole.startsWith(":") ? "([^/]+)" : "(.+?)";
  });
  return { pattern: new RegExp(`^${source}$`), names };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new GantryError("invalid", `malformed path: ${text}`, { cause: error });
  }
}

function splitVersion(path: string): { version: readonly [number, number]; path: string } {
  const match = /^\/v(\d{1,3})\.(\d{1,3})(\/.*)$/.exec(path);
  if (match === null) return { version: newestVersion, path };
  const version = [Number(match[1]), Number(match[2])] as const;
  const text = `${version[0]}.${version[1]}`;
  if (isBelow(newestVersion, version)) {
    throw new GantryError("invalid", `client version ${text} is too new. Maximum supported API version is ${newestVersion.join(".")}`);
  }
  if (isBelow(version, oldestVersion)) {
    throw new GantryError(
      "invalid",
      `client version ${text} is too old. Minimum supported API version is ${oldestVersion.join(".")}, please upgrade your client to a newer version`,
    );
  }
  return { version, path: match[3] ?? "/" };
}

function isBelow(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}
