/** A repository as a target: blobs are mounted or sent, manifests put as they are (distribution-spec, "Push"). */
import {
  type BlobWrite,
  type Descriptor,
  type ImageSource,
  type ImageTarget,
  mediaTypes,
  parseManifest,
  type RawManifest,
} from "../image/index.ts";
import { type Digest, sha256 } from "../lib/index.ts";
import { fallbackReferrers, referrersTag } from "./listings.ts";
import { RegistrySource } from "./registry-source.ts";
import type { RepositoryClient } from "./repository-client.ts";
import type { HttpAnswer } from "./transport.ts";
import { uploadBlob } from "./upload-blob.ts";

export class RegistryTarget implements ImageTarget {
  readonly name: string;
  readonly #client: RepositoryClient;

  constructor(name: string, client: RepositoryClient) {
    this.name = name;
    this.#client = client;
  }

  async hasBlob(blob: Descriptor, signal?: AbortSignal): Promise<boolean> {
    return this.#has(`blobs/${blob.digest}`, `look for the blob ${blob.digest} in ${this.name}`, signal);
  }

  async hasManifest(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    return this.#has(`manifests/${digest}`, `look for the manifest ${digest} in ${this.name}`, signal);
  }

  async #has(to: string, doing: string, signal: AbortSignal | undefined): Promise<boolean> {
    const headers = { Accept: Object.values(mediaTypes).join(", ") };
    const answer = await this.#client.request({
      method: "HEAD",
      to,
      headers,
      expect: [200, 404],
      doing,
      signal,
    });
    await answer.cancel();
    return answer.status === 200;
  }

  async mountBlob(blob: Descriptor, from: ImageSource, signal?: AbortSignal): Promise<boolean> {
    if (!(from instanceof RegistrySource)) return false;
    const { origin } = from;
    if (origin.host !== this.#client.host || origin.path === this.#client.path) return false;
    const query = new URLSearchParams({ mount: blob.digest, from: origin.path });
    const answer = await this.#client.request({
      method: "POST",
      to: `blobs/uploads/?${query.toString()}`,
      headers: { "Content-Length": "0" },
      expect: [201, 202, 401, 403, 404],
      scopes: [`repository:${origin.path}:pull`],
      doing: `mount the blob ${blob.digest} from ${from.name} into ${this.name}`,
      signal,
    });
    await answer.cancel();
    if (answer.status === 201) return true;
    // An upload was begun instead. It is let go of: sending begins one of its own.
    const location = answer.headers.get("location");
    if (answer.status === 202 && location !== null) await this.#forget(location);
    return false;
  }

  async #forget(location: string): Promise<void> {
    const to = this.#client.located(location, "cancel an upload");
    const request = {
      method: "DELETE",
      to,
      expect: [200, 202, 204, 404, 405],
      doing: "cancel an upload",
      once: true,
    } as const;
    // Not all registries can: theirs expires.
    await this.#client.request(request).then(
      (answer) => answer.cancel(),
      () => undefined,
    );
  }

  putBlob(blob: Descriptor, write: BlobWrite): Promise<void> {
    return uploadBlob(this.#client, { blob, name: this.name, ...write });
  }

  async putManifest(manifest: RawManifest, tag?: string, signal?: AbortSignal): Promise<void> {
    const answer = await this.#put(manifest, tag ?? manifest.digest, signal);
    const { subject, ...rest } = parseManifest(manifest.bytes, manifest.mediaType);
    if (subject === undefined || answer.headers.get("oci-subject") !== null) return;
    await this.#refer(subject.digest, manifest, rest, signal);
  }

  async #put(manifest: RawManifest, reference: string, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const answer = await this.#client.request({
      method: "PUT",
      to: `manifests/${reference}`,
      headers: { "Content-Type": manifest.mediaType },
      body: () => manifest.bytes,
      expect: [200, 201],
      doing: `push the manifest ${this.name}${reference.includes(":") ? "@" : ":"}${reference}`,
      signal,
    });
    await answer.cancel();
    return answer;
  }

  /** For registries that do not keep the list of referrers themselves. */
  async #refer(
    subject: Digest,
    manifest: RawManifest,
    parts: { readonly artifactType?: string; readonly annotations?: Readonly<Record<string, string>> },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const known = await fallbackReferrers(this.#client, subject, signal);
    if (known.some(({ digest }) => digest === manifest.digest)) return;
    const { artifactType, annotations } = parts;
    const own: Descriptor = {
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.bytes.length,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    };
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...known, own] };
    const bytes = Buffer.from(JSON.stringify(index));
    const raw = { digest: sha256(bytes), mediaType: mediaTypes.ociIndex, bytes };
    await this.#put(raw, referrersTag(subject), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Connections are the transport's and close by themselves.
  }
}
