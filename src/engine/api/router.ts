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

/** The path parameter `name` of a call; a pattern without it is a bug of the route. */
export function param(call: Call, name: string): string {
  const value = call.params[name];
  if (value === undefined)
    throw new GantryError("internal", `the route of ${call.request.url ?? ""} has no :${name}`);
  return value;
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

/** Each kind of handler that a route may have: a call with upgrade headers goes to `hijack`, others to the first of the rest. */
export interface Handlers {
  readonly json?: JsonHandler;
  readonly stream?: StreamHandler;
  readonly hijack?: HijackHandler;
}

interface Route {
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly handlers: Handlers;
}

export const newestVersion = [1, 50] as const;
export const oldestVersion = [1, 24] as const;

export class Router {
  readonly #routes = new Map<string, Route[]>();

  /** Adds handlers of several kinds for one call. */
  add(method: string, path: string, handlers: Handlers): void {
    const routes = this.#routes.get(method) ?? [];
    routes.push({ ...compile(path), handlers });
    this.#routes.set(method, routes);
  }

  /** Answers with JSON. */
  json(method: string, path: string, json: JsonHandler): void {
    this.add(method, path, { json });
  }

  /** Writes the response itself. */
  stream(method: string, path: string, stream: StreamHandler): void {
    this.add(method, path, { stream });
  }

  /** Takes the connection over. */
  hijack(method: string, path: string, hijack: HijackHandler): void {
    this.add(method, path, { hijack });
  }

  /** @throws {GantryError} "not-found" (no such page) | "invalid" (API version out of range) */
  match(request: IncomingMessage, signal: AbortSignal): { readonly handlers: Handlers; readonly call: Call } {
    const { pathname, query } = splitUrl(request.url ?? "/");
    const { version, path } = splitVersion(pathname);
    for (const route of this.#routes.get(request.method ?? "") ?? []) {
      const found = route.pattern.exec(path);
      if (found === null) continue;
      const params = Object.fromEntries(route.names.map((name, i) => [name, decode(found[i + 1] ?? "")]));
      return { handlers: route.handlers, call: { request, params, query, version, signal } };
    }
    throw new GantryError("not-found", "page not found");
  }
}

function splitUrl(url: string): { readonly pathname: string; readonly query: URLSearchParams } {
  const at = url.indexOf("?");
  if (at < 0) return { pathname: url, query: new URLSearchParams() };
  return { pathname: url.slice(0, at), query: new URLSearchParams(url.slice(at + 1)) };
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
    throw new GantryError(
      "invalid",
      `client version ${text} is too new. Maximum supported API version is ${newestVersion.join(".")}`,
    );
  }
  if (isBelow(version, oldestVersion)) {
    throw new GantryError(
      "invalid",
      `client version ${text} is too old. Minimum supported API version is ${oldestVersion.join(".")}, please upgrade your client to a newer version`,
    );
  }
  return { version, path: match[3] ?? "/" };
}

/** True when version `a` comes before `b`. */
export function isBelow(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}
