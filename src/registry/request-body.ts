/** Bodies that are read whole. */
import { RegistryError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";

/** @throws {RegistryError} 413 beyond `maxBytes`, of which no more than that is kept */
export async function boundedBody(exchange: Exchange, maxBytes: number): Promise<Uint8Array> {
  const announced = exchange.contentLength;
  if (announced !== undefined && announced > maxBytes) throw tooBig(maxBytes);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of exchange.request.body ?? []) {
    length += piece.length;
    if (length > maxBytes) throw tooBig(maxBytes);
    pieces.push(piece);
  }
  if (announced !== undefined && announced !== length)
    throw new RegistryError("SIZE_INVALID", `${length} bytes came of the ${announced} that were announced`);
  return Buffer.concat(pieces);
}

function tooBig(maxBytes: number): RegistryError {
  return new RegistryError("MANIFEST_INVALID", `a manifest has ${maxBytes} bytes at most`, { status: 413 });
}
