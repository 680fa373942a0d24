/** The HTTP face: a node:http server on the API socket. Parses, calls a route, renders; nothing else. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { GantryError, type Logger, messageOf } from "../../lib/index.ts";
import { renderError } from "./errors.ts";
import type { HttpCounters } from "./http-counters.ts";
import { drain } from "./read-body.ts";
import { newestVersion, Reply, type Router } from "./router.ts";
import type { TlsIdentity } from "./tls-identity.ts";

const commonHeaders = {
  "Api-Version": newestVersion.join("."),
  "Docker-Experimental": "false",
  Ostype: "linux",
  Server: "Gantry (linux)",
} as const;

export interface ApiServerOptions {
  readonly router: Router;
  readonly logger: Logger;
  readonly counters: HttpCounters;
}

export type ApiServer = Server | TlsServer;

/** Clients of builds send the credentials of all their registries along; dockerd takes as much. */
const maxHeaderSize = 1 << 20;

/** Makes the server; the caller lets it listen. @param tls with a `ca`, clients without its certificate are cut off */
export function createApiServer(options: ApiServerOptions, tls?: TlsIdentity): ApiServer {
  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    void answer(options, request, response);
  const server =
    tls === undefined
      ? createServer({ maxHeaderSize }, listener)
      : createTlsServer({ maxHeaderSize, minVersion: "TLSv1.2", ...tls, ...clientRule(tls) }, listener);
  server.on("upgrade", (request, socket, head) => void upgrade(options, { request, socket, head }));
  server.requestTimeout = 0; // a build context or an image may take as long as it takes
  server.headersTimeout = 30_000;
  server.keepAliveTimeout = 60_000;
  return server;
}

function clientRule({ ca }: TlsIdentity): {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
} {
  return { requestCert: ca !== undefined, rejectUnauthorized: ca !== undefined };
}

async function answer(
  options: ApiServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { router, counters } = options;
  const gone = new AbortController();
  counters.opened();
  response.on("close", () => {
    counters.closed();
    counters.answered(request.method ?? "", response.statusCode);
    gone.abort(new GantryError("canceled", "the client went away"));
  });
  // ECONNRESET and EPIPE: the client went away, which "close" reports.
  response.on("error", () => undefined);
  request.on("error", () => undefined);
  for (const [name, value] of Object.entries(commonHeaders)) response.setHeader(name, value);
  try {
    const { handlers, call } = router.match(request, gone.signal);
    if (handlers.json !== undefined) send(response, await handlers.json(call));
    else if (handlers.stream !== undefined) await handlers.stream(call, response);
    else throw new GantryError("invalid", "this call needs the headers Connection: Upgrade and Upgrade: tcp");
  } catch (error) {
    if (!gone.signal.aborted) await refuse(options, request, response, error);
  }
}

async function refuse(
  { logger }: ApiServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
): Promise<void> {
  const rendered = renderError(error);
  logFailure(logger, request, rendered.statusCode, error);
  // After the first byte a status cannot be changed: cutting the connection is all that tells the client.
  if (response.headersSent) return void response.destroy();
  await drain(request);
  // A client that went on sending until now is cut off with the answer.
  if (!request.complete) response.setHeader("Connection", "close");
  send(response, new Reply(rendered.statusCode, rendered.statusCode === 304 ? undefined : rendered.body));
}

function logFailure(logger: Logger, request: IncomingMessage, status: number, error: unknown): void {
  if (status < 500 || status === 501) return;
  const source = error instanceof GantryError && error.cause instanceof Error ? error.cause : error;
  const stack = source instanceof Error && status === 500 ? source.stack : undefined;
  logger.error("api.failed", {
    method: request.method,
    url: request.url,
    status,
    message: messageOf(error),
    stack,
  });
}

function send(response: ServerResponse, result: unknown): void {
  if (response.writableEnded || response.destroyed) return;
  const reply = result instanceof Reply ? result : new Reply(result === undefined ? 204 : 200, result);
  response.statusCode = reply.status;
  for (const [name, value] of Object.entries(reply.headers)) response.setHeader(name, value);
  if (reply.body === undefined) {
    response.end();
  } else if (typeof reply.body === "string") {
    if (!response.hasHeader("Content-Type")) response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(reply.body);
  } else {
    response.setHeader("Content-Type", "application/json");
    response.end(`${JSON.stringify(reply.body)}\n`);
  }
}

interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

async function upgrade(options: ApiServerOptions, { request, socket, head }: Upgrade): Promise<void> {
  const { router, logger, counters } = options;
  const gone = new AbortController();
  counters.opened();
  socket.on("close", () => {
    counters.closed();
    gone.abort(new GantryError("canceled", "the client went away"));
  });
  // ECONNRESET and EPIPE: the client went away, which "close" reports.
  socket.on("error", () => undefined);
  request.on("error", () => undefined);
  try {
    const { handlers, call } = router.match(request, gone.signal);
    if (handlers.hijack === undefined) throw new GantryError("invalid", "this call cannot be upgraded");
    await handlers.hijack(call, socket, head);
    counters.answered(request.method ?? "", 101);
  } catch (error) {
    const rendered = renderError(error);
    counters.answered(request.method ?? "", rendered.statusCode);
    logFailure(logger, request, rendered.statusCode, error);
    endWithError(socket, rendered.statusCode, rendered.body);
  }
}

/** Refuses an upgrade. A socket that was already switched gets no second head: it is cut. */
function endWithError(socket: Duplex, status: number, body: object): void {
  if (switched.has(socket)) return void socket.destroy();
  const text = status === 304 ? "" : `${JSON.stringify(body)}\n`;
  socket.end(
    `HTTP/1.1 ${status} Error\r\nContent-Type: application/json\r\nApi-Version: ${newestVersion.join(".")}\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
  // What the client still sends is nobody's.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), 5000);
  timer.unref();
  socket.on("close", () => clearTimeout(timer));
}

const switched = new WeakSet<Duplex>();

/** The answer that turns a connection into a stream of bytes; to be written first. */
export function switchHead(socket: Duplex, contentType: string): string {
  switched.add(socket);
  return `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: ${newestVersion.join(".")}\r\n\r\n`;
}
