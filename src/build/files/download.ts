/** ADD of a URL: one file, fetched with bounds on size and time. */
import { createHash } from "node:crypto";
import { open, utimes } from "node:fs/promises";
import { type Digest, GantryError, messageOf } from "../../lib/index.ts";

export interface DownloadRequest {
  readonly url: string;
  /** An existing directory; the file is made in it. */
  readonly dir: string;
  readonly maxBytes: number;
  readonly checksum: Digest | undefined;
  readonly signal: AbortSignal;
}

/** Longest silence of the server, in milliseconds. */
const idleMs = 60_000;
/** Longest time for the whole file. */
const totalMs = 60 * 60_000;

export function isUrl(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

/** True for what docker takes as a git repository. */
export function isGit(source: string): boolean {
  return /^(?:git:\/\/|git@|ssh:\/\/)/i.test(source) || (isUrl(source) && /\.git(?:#.*)?$/i.test(source));
}

/** The file's name as the URL or the server says it; undefined when neither does. */
export function downloadName(url: URL, disposition: string | null): string | undefined {
  const named = /filename="?([^";]+)"?/i.exec(disposition ?? "")?.[1];
  let path = url.pathname;
  try {
    path = decodeURIComponent(path);
  } catch {
    // URIError: a stray % is part of the name then.
  }
  for (const candidate of [path, named]) {
    const base = candidate?.slice(candidate.lastIndexOf("/") + 1) ?? "";
    if (
      base !== "" &&
      base !== "." &&
      base !== ".." &&
      !base.includes("\0") &&
      Buffer.byteLength(base) <= 255
    )
      return base;
  }
  return undefined;
}

/** Aborts when the build does, when nothing came for a while, and after the longest time. */
class Watch {
  readonly #idle = new AbortController();
  readonly signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#idle.signal, AbortSignal.timeout(totalMs)]);
    this.touch();
  }

  touch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#idle.abort(new GantryError("timeout", "the server says nothing more")),
      idleMs,
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

async function request(url: string, signal: AbortSignal): Promise<Response> {
  try {
    // As the file is on the server: a compressed archive stays one.
    return await fetch(url, { signal, decompress: false, headers: { "Accept-Encoding": "identity" } });
  } catch (error) {
    signal.throwIfAborted();
    throw new GantryError("unavailable", `failed to GET ${url}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * @returns the name of the file, undefined when it has none of its own; it lies in `dir` as `file`
 * @throws {GantryError} "unavailable" for an answer that is none, "exhausted" beyond the size, "corrupt" for a wrong checksum
 */
export async function download(order: DownloadRequest): Promise<string | undefined> {
  const watch = new Watch(order.signal);
  try {
    const response = await request(order.url, watch.signal);
    if (!response.ok) {
      await response.body?.cancel();
      throw new GantryError(
        "unavailable",
        `failed to GET ${order.url} with status ${response.status} ${response.statusText}`,
      );
    }
    const digest = await save(response, order, watch);
    if (order.checksum !== undefined && digest !== order.checksum) {
      throw new GantryError("corrupt", `${order.url} has the checksum ${digest}, not ${order.checksum}`, {
        hint: "the file on the server is another one than when the Dockerfile was written",
      });
    }
    return downloadName(new URL(order.url), response.headers.get("Content-Disposition"));
  } finally {
    watch.stop();
  }
}

async function save(response: Response, order: DownloadRequest, watch: Watch): Promise<string> {
  const path = `${order.dir}/file`;
  const hash = createHash("sha256");
  const file = await open(path, "wx", 0o600);
  try {
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      watch.touch();
      bytes += chunk.length;
      if (bytes > order.maxBytes)
        throw new GantryError(
          "exhausted",
          `${order.url} is larger than ${order.maxBytes} bytes, the limit of ADD`,
        );
      hash.update(chunk);
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  // The time of the server's file, or none: two builds give the same layer.
  const modified = Date.parse(response.headers.get("Last-Modified") ?? "");
  const seconds = Number.isNaN(modified) ? 0 : Math.floor(modified / 1000);
  await utimes(path, seconds, seconds);
  return `sha256:${hash.digest("hex")}`;
}
