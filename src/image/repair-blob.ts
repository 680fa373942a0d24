/** A blob that is damaged or missing, fetched anew and put in its place at once. */
import { download } from "./download.ts";
import type { ImageSource } from "./endpoint.ts";
import { spendableBytes } from "./free-space.ts";
import type { Descriptor } from "./manifest.ts";
import type { ImageRoom } from "./room.ts";

export interface RepairRequest {
  readonly source: ImageSource;
  readonly blob: Descriptor;
  readonly signal: AbortSignal | undefined;
}

/** The damaged file stays until the whole new one has been verified. */
export async function repairBlob(
  { content, fetcher, root, sys }: ImageRoom,
  { source, blob, signal }: RepairRequest,
): Promise<void> {
  const { digest, size } = blob;
  const path = fetcher.partials.path(digest);
  using _use = fetcher.partials.use(digest);
  const maxBytes = spendableBytes(sys, root);
  for await (const _ of download({ source, blob, path, maxBytes, signal }));
  await content.adopt({ path, digest, size });
}
