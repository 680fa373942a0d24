/** A repository as a target: blobs are mounted or sent, manifests put as they are (distribution-spec, "Push"). */
import {
  type BlobStream,
  type BlobWrite,
  type Descriptor,
  type ImageSource,
  type ImageTarget,
  type Manifest,
  mediaTypes,
  parseManifest,
  type RawManifest,
} from "../image/index.ts";
import { type Digest, GantryError, isDigest, sha256 } from "../lib/index.ts";
import { fallbackReferrers, referrersTag } from "./listings.ts";
import { RegistrySource } from "./registry-source.ts";
import type { RepositoryClient } from "./repository-client.ts";
import type { HttpAnswer } from "./transport.ts";
import { streamBlob } from "./stream-blob.ts";
import { type BegunUpload, begunUpload, cancelUpload, uploadBlob } from "./upload-blob.ts";

/** A blob that is in many repositories is sought in so many. */
const maxMountTries = 3;

export class RegistryTarget implements ImageTarget {
  readonly name: string;
  readonly #client: RepositoryClient;
  /** Mounts that the registry has answered by beginning an upload. */
  readonly #begun = new Map<Digest, BegunUpload>();
  readonly #streamed = new Set<Digest>();
  #mountsUnnamed = true;

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

  async mountBlob(blob: Descriptor, from: ImageSource, signal?: AbortSignal): Promise<boolean | string> {
    const named = this.#neighbours(blob, from).slice(0, maxMountTries);
    // Without a name the registry may find the blob by itself (distribution-spec, "Mounting a blob from another repository").
    for (const path of named.length === 0 ? [undefined] : named) {
      await this.#letGo(blob.digest);
      if (await this.#mount(blob, path, signal)) return path ?? true;
    }
    return false;
  }

  /** Repositories beside ours that have the blob. */
  #neighbours(blob: Descriptor, from: ImageSource): readonly string[] {
    if (from instanceof RegistrySource)
      return from.origin.host === this.#client.host && from.origin.path !== this.#client.path
        ? [from.origin.path]
        : [];
    const prefix = `${this.name.slice(0, this.name.indexOf("/"))}/`;
    const paths = (from.repositories?.(blob) ?? [])
      .filter((name) => name.startsWith(prefix) && name !== this.name)
      .map((name) => name.slice(prefix.length));
    return [...new Set(paths)];
  }

  async #mount(
    blob: Descriptor,
    path: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (path === undefined && !this.#mountsUnnamed) return false;
    const query = new URLSearchParams({ mount: blob.digest, ...(path === undefined ? {} : { from: path }) });
    const doing = `mount the blob ${blob.digest} into ${this.name}`;
    const answer = await this.#client.request({
      method: "POST",
      to: `blobs/uploads/?${query.toString()}`,
      headers: { "Content-Length": "0" },
      expect: [201, 202, 400, 401, 403, 404, 405],
      scopes: path === undefined ? [] : [`repository:${path}:pull`],
      doing,
      signal,
    });
    // An upload was begun instead: the blob is sent by it.
    if (answer.status === 202) this.#begun.set(blob.digest, await begunUpload(this.#client, answer, doing));
    else await answer.cancel();
    if (path === undefined && answer.status >= 400) this.#mountsUnnamed = false;
    return answer.status === 201;
  }

  async #letGo(digest: Digest): Promise<void> {
    const begun = this.#begun.get(digest);
    this.#begun.delete(digest);
    if (begun !== undefined) await cancelUpload(this.#client, begun.url);
  }

  putBlob(blob: Descriptor, write: BlobWrite): Promise<void> {
    const begun = this.#begun.get(blob.digest);
    this.#begun.delete(blob.digest);
    return uploadBlob(this.#client, { blob, name: this.name, ...write }, begun);
  }

  beginBlob(signal?: AbortSignal): Promise<BlobStream> {
    const onKept = ({ digest }: Descriptor): void => void this.#streamed.add(digest);
    return streamBlob(this.#client, { name: this.name, onKept, signal });
  }

  hasStreamed({ digest }: Descriptor): boolean {
    return this.#streamed.has(digest);
  }

  async putManifest(manifest: RawManifest, tag?: string, signal?: AbortSignal): Promise<void> {
    if (tag !== undefined && isDigest(tag) && tag !== manifest.digest)
      throw new GantryError("invalid", `the image is ${manifest.digest}: it cannot be ${this.name}@${tag}`);
    const answer = await this.#put(manifest, tag ?? manifest.digest, signal);
    const parsed = parseManifest(manifest.bytes, manifest.mediaType);
    if (parsed.subject === undefined || answer.headers.get("oci-subject") !== null) return;
    await this.#refer(parsed.subject.digest, manifest, parsed, signal);
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
    const kept = answer.headers.get("docker-content-digest") ?? "";
    if (isDigest(kept) && algorithmOf(kept) === algorithmOf(manifest.digest) && kept !== manifest.digest)
      throw new GantryError("corrupt", `${this.name}: the registry has kept ${manifest.digest} as ${kept}`);
    return answer;
  }

  /** For registries that do not keep the list of referrers themselves. */
  async #refer(
    subject: Digest,
    manifest: RawManifest,
    parts: Manifest,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const known = await fallbackReferrers(this.#client, subject, signal);
    if (known.some(({ digest }) => digest === manifest.digest)) return;
    const { annotations } = parts;
    const artifactType = parts.artifactType ?? (parts.kind === "image" ? parts.config.mediaType : undefined);
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
    for (const digest of this.#begun.keys()) await this.#letGo(digest);
  }
}

const algorithmOf = (digest: string): string => digest.slice(0, digest.indexOf(":"));
