/** A blob from a registry: a connection that breaks is taken up again where it broke, at a mirror's neighbour if need be. */
import type { Descriptor } from "../image/index.ts";
import { GantryError } from "../lib/index.ts";
import { printable } from "./printable.ts";
import { pause, type RepositoryClient, waitAfter } from "./repository-client.ts";
import type { HttpAnswer } from "./transport.ts";

export interface BlobRequest {
  readonly clients: readonly RepositoryClient[];
  readonly blob: Descriptor;
  /** Of the repository, for messages. */
  readonly name: string;
  readonly offset?: number;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {GantryError} "corrupt" when the registry has more or, to its end, fewer bytes than the descriptor says */
export async function* readBlob(request: BlobRequest): AsyncGenerator<Uint8Array, void, void> {
  const { blob, clients, signal } = request;
  let at = request.offset ?? 0;
  let tried = 0;
  for (let turn = 0; turn < clients.length;) {
    const client = clients[turn];
    if (client === undefined) break;
    const before = at;
    try {
      for await (const chunk of pieces(client, { ...request, offset: at })) {
        at += chunk.length;
        yield chunk;
      }
      return;
    } catch (error) {
      // Progress buys patience: only a connection that brings nothing wears it out.
      tried = at > before ? 1 : tried + 1;
      const wait = waitAfter(error, tried, client.retries);
      const isLast = turn === clients.length - 1;
      if (wait !== undefined) await pause(wait, signal);
      else if (isLast || !(error instanceof GantryError) || error.code === "canceled" || at > blob.size)
        throw error;
      else {
        turn++;
        tried = 0;
      }
    }
  }
  throw new GantryError("internal", `${request.name} has no address`);
}

interface PieceRequest extends BlobRequest {
  readonly offset: number;
}

/** One connection's worth; ends well only at the blob's end. */
async function* pieces(
  client: RepositoryClient,
  { blob, name, offset, signal }: PieceRequest,
): AsyncGenerator<Uint8Array, void, void> {
  const doing = `pull the blob ${blob.digest} of ${name}`;
  // Everything is here already, unless there is nothing: an empty blob must be there, too.
  if (offset === blob.size && blob.size > 0) return;
  const ask = (headers: Record<string, string>): Promise<HttpAnswer> =>
    client.request({
      method: "GET",
      to: `blobs/${blob.digest}`,
      headers,
      expect: [200, 206, 416],
      doing,
      // The tries are counted by the caller, who sees progress.
      once: true,
      signal,
    });
  let answer = await ask(offset === 0 ? {} : { Range: `bytes=${offset}-` });
  if (answer.status === 416) {
    // It knows of ranges, and not of this one: from the beginning, then.
    await answer.cancel();
    answer = await ask({});
  }
  let skip = await startOf(answer, { offset, size: blob.size, doing });
  let at = offset;
  for await (const chunk of answer.body()) {
    const rest = skip >= chunk.length ? chunk.subarray(chunk.length) : chunk.subarray(skip);
    skip -= chunk.length - rest.length;
    at += rest.length;
    if (at > blob.size)
      throw new GantryError("corrupt", `${doing}: it has more than the ${blob.size} bytes of its descriptor`);
    if (rest.length > 0) yield rest;
  }
  if (at !== blob.size) throw shorter(doing, at, blob.size);
}

/** Some proxies end an answer early and say that this was all: worth another try. */
function shorter(doing: string, at: number, size: number): GantryError {
  return new GantryError("corrupt", `${doing}: it ends after ${at} of ${size} bytes`, {
    fields: { isShort: true },
  });
}

/** Bytes to leave out: those before `offset` when the registry does not know ranges. */
async function startOf(
  answer: HttpAnswer,
  { offset, size, doing }: { readonly offset: number; readonly size: number; readonly doing: string },
): Promise<number> {
  if (answer.status === 200) return offset;
  const header = answer.headers.get("content-range") ?? "";
  const range = parseContentRange(header);
  if (answer.status === 206 && range !== undefined && range.start <= offset && (range.total ?? size) === size)
    return offset - range.start;
  await answer.cancel();
  throw new GantryError(
    "corrupt",
    `${doing}: bytes from ${offset} of ${size} were asked for, the answer is ${answer.status} ${JSON.stringify(printable(header, 80))}`,
  );
}

/** `bytes 5-9/10` or `bytes 5-9/*` (RFC 9110, 14.4); undefined for nonsense. */
export function parseContentRange(
  header: string,
): { readonly start: number; readonly total: number | undefined } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\*|\d{1,15})$/.exec(header.trim());
  if (match === null || Number(match[1]) > Number(match[2])) return undefined;
  return { start: Number(match[1]), total: match[3] === "*" ? undefined : Number(match[3]) };
}
