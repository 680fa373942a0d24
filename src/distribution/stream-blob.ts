/** Sending a blob while it is made: in one request of unknown length, ended by one that names its digest. No second try. */
import type { BlobStream, Descriptor } from "../image/index.ts";
import type { RepositoryClient } from "./repository-client.ts";
import { beginUpload, cancelUpload, finishUpload } from "./upload-blob.ts";

export interface StreamRequest {
  /** Of the repository, for messages. */
  readonly name: string;
  readonly onKept: (blob: Descriptor) => void;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {GantryError} when the registry does not take uploads */
export async function streamBlob(
  client: RepositoryClient,
  { name, onKept, signal }: StreamRequest,
): Promise<BlobStream> {
  const doing = `push a blob to ${name}`;
  let { url } = await beginUpload(client, doing, signal);
  let isOpen = true;
  return {
    async send(bytes) {
      const answer = await client.request({
        method: "PATCH",
        to: url,
        headers: { "Content-Type": "application/octet-stream" },
        body: () => bytes,
        expect: [202, 204],
        doing,
        once: true,
        signal,
      });
      await answer.cancel();
      url = client.located(answer.headers.get("location") ?? url.href, url, doing);
    },
    async keep(blob) {
      await finishUpload(client, { url, bytes: undefined, doing, blob, signal });
      isOpen = false;
      onKept(blob);
    },
    async drop() {
      if (isOpen) await cancelUpload(client, url);
      isOpen = false;
    },
  };
}
