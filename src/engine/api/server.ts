/** The HTTP face: a node:http server on the API socket. Parses, calls a route, renders; nothing else. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { GantryError, type Logger } from "../../lib/index.ts";
import { renderError } from "./errors.ts";
import { newestVersion, Reply, type Router } from "./router.ts";

/** Larger JSON bodies are refused. */
const maxJsonBytes = 4 * 1024 * 1024;

const commonHeaders = {
  "Api-Version": newestVersion.join("."),
  "Docker-Experimental": "false",
  Ostype: "linux",
  Server: "Gantry (linux)",
} as const;

/** Makes the server; the caller lets it listen. */
export function createApiServer(router: Router, logger: Logger): Server {
  const server = createServer((request, response) => void answer(router, logger, request, response));
  server.on("upgrade", (request, socket, head) => void upgrade(router, logger, request, socket, head));
  server.requestTimeout = 0; // a build context or an image may take as long as it takes
  server.headersTimeout = 30_000;
  server.keepAliveTimeout = 60_000;
  return server;
}

async function answer(router: Router, logger: Logger, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort(new GantryError("canceled", "the client went away")));
  for (const [name, value] of Object.entries(commonHeaders)) response.setHeader(name, value);
  try {
    const { route, call } = router.match(request, gone.signal);
    if (route.json !== undefined) send(response, await route.json(call));
    else if (route.stream !== undefined) await route.stream(call, response);
    else throw new GantryError("invalid", "this call needs the headers Connection: Upgrade and Upgrade: tcp");
  } catch (error) {
    if (gone.signal.aborted) return;
    const rendered = renderError(error);
    if (rendered.statusCode >= 500) logger.error("api.failed", { url: request.url ?? "", message: rendered.body.message });
    // After the first byte a status cannot be changed: cutting the connection is all that tells the client.
    if (response.headersSent) response.destroy();
    else send(response, new Reply(rendered.statusCode, rendered.statusCode === 304 ? undefined : rendered.body));
  }
}

function send(response: ServerResponse, result: unknown): void {
  if (response.writableEnded) return;
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

async function upgrade(router: Router, logger: Logger, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const gone = new AbortController();
  socket.on("close", () => gone.abort(new GantryError("canceled", "the client went away")));
  // ECONNRESET and EPIPE: the client went away, which "close" reports.
  socket.on("error", () => undefined);
  try {
    const { route, call } = router.match(request, gone.signal);
    if (route.hijack === undefined) throw new GantryError("invalid", "this call cannot be upgraded");
    await route.hijack(call, socket, head);
  } catch (error) {
    const rendered = renderError(error);
    if (rendered.statusCode >= 500) logger.error("api.failed", { url: request.url ?? "", message: rendered.body.message });
    const body = `${JSON.stringify(rendered.body)}\n`;
    socket.end(
      `HTTP/1.1 ${rendered.statusCode} Error\r\nContent-Type: application/json\r\nApi-Version: ${newestVersion.join(".")}\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
}

/**
 * The request's body as JSON; an empty body is {}.
 * @throws {GantryError} "invalid" on malformed JSON or more than 4 MiB
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const piece: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += piece.length;
    if (bytes > maxJsonBytes) throw new GantryError("invalid", `the request's body is larger than ${maxJsonBytes} bytes`);
    chunks.push(piece);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new GantryError("invalid", "the request's body is not valid JSON", { cause: error });
  }
}
