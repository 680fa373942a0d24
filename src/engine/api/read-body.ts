/** The bodies of requests, with bounds. */
import type { IncomingMessage } from "node:http";
import { GantryError } from "../../lib/index.ts";

/** Larger JSON bodies are refused. */
const maxJsonBytes = 4 * 1024 * 1024;

/** Nesting deeper than this is no request of any client. */
const maxJsonDepth = 64;

/**
 * The request's body as JSON; an empty body is {}. Like dockerd it wants the media type said, which also keeps web pages
 * from reaching an engine on loopback: a browser asks before it sends JSON elsewhere.
 * @throws {GantryError} "invalid" on another media type, malformed JSON or more than 4 MiB
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of bodyOf(request)) {
    bytes += piece.length;
    if (bytes > maxJsonBytes)
      throw new GantryError("invalid", `the request's body is larger than ${maxJsonBytes} bytes`);
    chunks.push(piece);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (text.trim() === "") return {};
  checkMediaType(request.headers["content-type"]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new GantryError("invalid", "invalid JSON: the request's body cannot be parsed", { cause: error });
  }
  if (depthOf(value, 0) > maxJsonDepth)
    throw new GantryError("invalid", `the request's body is nested deeper than ${maxJsonDepth} levels`);
  return value;
}

function checkMediaType(header: string | undefined): void {
  const type = (header ?? "").split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new GantryError(
      "invalid",
      `unsupported Content-Type header (${(header ?? "").slice(0, 100)}): must be 'application/json'`,
    );
  }
}

function depthOf(value: unknown, depth: number): number {
  if (typeof value !== "object" || value === null || depth > maxJsonDepth) return depth;
  return Object.values(value).reduce(
    (deepest: number, child) => Math.max(deepest, depthOf(child, depth + 1)),
    depth,
  );
}

/**
 * The pieces of a body as they come, no faster than they are taken.
 * @throws {GantryError} "canceled" when the client goes away in the middle
 */
export async function* bodyOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    // A reader that stops early leaves the rest for `drain`: the connection must live to carry the answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    }
  } catch (error) {
    throw new GantryError("canceled", "the client went away while it sent the request's body", {
      cause: error,
    });
  }
  if (!request.complete)
    throw new GantryError("canceled", "the client went away while it sent the request's body");
}

/** A client that sends longer than this what nobody wants is cut off. */
const drainMs = 10_000;

/**
 * Throws away what is left of a body. Clients that are cut off while they still send report a broken pipe and never
 * look at the answer, so it must be taken before the answer ends.
 */
export function drain(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, drainMs);
    request.on("end", done);
    request.on("close", done);
    request.resume();
  });
}
