/** A blob from a registry: a connection that breaks is taken up again where it broke, at a mirror's neighbour if need be. */
import type { Descriptor } from "../image/index.ts";
import { GantryError } from "../lib/index.ts";
import { printable } from "./printable.ts";
import { pause, type RepositoryClient } from "./repository-client.ts";
import { delayBefore, usualRetries } from "./retry.ts";
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
  const { blob, clients, name, signal } = request;
  const doing = `pull the blob ${blob.digest} of ${name}`;
  let at = request.offset ?? 0;
  let client = 0;
  // An empty blob is read nevertheless: it must be there.
  for (let tried = 1; at < blob.size || blob.size === 0; tried++) {
    const before = at;
    let failure: unknown;
    try {
      for await (const chunk of pieces(clients[client], { ...request, offset: at, doing })) {
        at += chunk.length;
        if (at > blob.size)
          throw new GantryError(
            "corrupt",
            `${doing}: it has more than the ${blob.size} bytes of its descriptor`,
          );
        yield chunk;
      }
      if (at === blob.size) return;
      failure = new GantryError("corrupt", `${doing}: it ends after ${at} of ${blob.size} bytes`);
    } catch (error) {
      if (!(error instanceof GantryError) || !isBroken(error)) {
        const isLast = client >= clients.length - 1;
        if (isLast || !(error instanceof GantryError) || error.code === "canceled" || at > blob.size)
          throw error;
        client++;
        tried = 0;
        continue;
      }
      failure = error;
    }
    // Progress buys patience: only a connection that brings nothing wears it out.
    if (at > before) tried = 1;
    const wait = delayBefore(usualRetries, tried, undefined, Math.random());
    if (wait === undefined) {
      if (client >= clients.length - 1) throw failure;
      client++;
      tried = 0;
      continue;
    }
    await pause(wait, signal);
  }
}

function isBroken(error: GantryError): boolean {
  return error.code === "unavailable" || error.code === "timeout";
}

interface PieceRequest extends BlobRequest {
  readonly offset: number;
  readonly doing: string;
}

async function* pieces(
  client: RepositoryClient | undefined,
  { blob, offset, doing, signal }: PieceRequest,
): AsyncGenerator<Uint8Array, void, void> {
  if (client === undefined) throw new GantryError("internal", `${doing}: no address`);
  const ask = (headers: Record<string, string>): Promise<HttpAnswer> =>
    client.request({
      method: "GET",
      to: `blobs/${blob.digest}`,
      headers,
      expect: [200, 206, 416],
      doing,
      signal,
    });
  let answer = await ask(offset === 0 ? {} : { Range: `bytes=${offset}-` });
  if (answer.status === 416) {
    // It knows of ranges, and not of this one: from the beginning, then.
    await answer.cancel();
    answer = await ask({});
  }
  let skip = await startOf(answer, { offset, size: blob.size, doing });
  for await (const chunk of answer.body()) {
    if (skip >= chunk.length) skip -= chunk.length;
    else {
      yield skip === 0 ? chunk : chunk.subarray(skip);
      skip = 0;
    }
  }
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
