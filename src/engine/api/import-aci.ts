/**
 * POST /images/create?fromSrc=-&aci=1: an App Container image. The body begins with `signature` bytes of a detached signature
 * and `trust` bytes of public keys, as the query says how many; neither is there for an image that is not to be checked.
 */
import type { ServerResponse } from "node:http";
import { peek } from "../../image/index.ts";
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { JsonMessages } from "./output.ts";
import { textOf } from "./query.ts";
import { bodyOf } from "./read-body.ts";
import type { Call } from "./router.ts";

/** Of a signature or keys: thousands of them. */
const maxPartBytes = 16 << 20;

export async function importAci(
  engine: ApiEngine,
  call: Call,
  response: ServerResponse,
  reference: string,
): Promise<void> {
  const [signatureBytes, trustBytes] = [lengthOf(call, "signature"), lengthOf(call, "trust")];
  const messages = new JsonMessages(response);
  try {
    const { head, all } = await peek(bodyOf(call.request), signatureBytes + trustBytes);
    const part = (from: number, length: number): Uint8Array | undefined =>
      length === 0 ? undefined : head.slice(from, from + length);
    const { image, warnings, fingerprint } = await engine.images.importAci(
      behind(all, signatureBytes + trustBytes),
      {
        reference,
        signature: part(0, signatureBytes),
        keys: part(signatureBytes, trustBytes),
        signal: call.signal,
      },
    );
    engine.events.emit("image", "import", image.id, { name: image.repoTags[0] ?? image.id });
    if (fingerprint !== undefined) void messages.send({ status: `Good signature of key ${fingerprint}` });
    for (const warning of warnings) void messages.send({ status: `Warning: ${warning}` });
    for (const name of image.repoTags) void messages.send({ status: `Imported image: ${name}` });
    void messages.send({ status: image.id });
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}

function lengthOf({ query }: Call, name: string): number {
  const text = textOf(query, name);
  const length = Number(text);
  if (/^\d{0,9}$/.test(text) && length <= maxPartBytes) return length;
  throw new GantryError("invalid", `invalid length of ${name}: ${JSON.stringify(text.slice(0, 40))}`);
}

async function* behind(
  source: AsyncIterable<Uint8Array>,
  skipped: number,
): AsyncGenerator<Uint8Array, void, void> {
  let left = skipped;
  for await (const chunk of source) {
    const rest = chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
    if (rest.length > 0) yield rest;
  }
}
