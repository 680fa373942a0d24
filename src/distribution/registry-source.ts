/** A repository as a source of images: mirrors first, the registry itself last. */
import { createHash } from "node:crypto";
import {
  acceptedManifests,
  type BlobRead,
  type Descriptor,
  type ImageSource,
  maxManifestBytes,
  parseManifest,
  type RawManifest,
} from "../image/index.ts";
import { type Digest, GantryError, isDigest, parseDigest, sha256 } from "../lib/index.ts";
import { readBlob } from "./read-blob.ts";
import { listReferrers, listTags } from "./listings.ts";
import type { RepositoryClient } from "./repository-client.ts";
import type { HttpAnswer } from "./transport.ts";

export interface RegistrySourceOptions {
  /** `docker.io/library/busybox`. */
  readonly name: string;
  /** In the order in which they are asked; at least one. */
  readonly clients: readonly RepositoryClient[];
  /** Tag or digest that is meant when none is said. */
  readonly reference: string;
}

export class RegistrySource implements ImageSource {
  readonly name: string;
  readonly #options: RegistrySourceOptions;
  /** Where the last thing was found. */
  #at = 0;
  /** Mirrors that do not answer: waiting for them once is enough. */
  readonly #silent = new Set<RepositoryClient>();

  constructor(options: RegistrySourceOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** The registry and the path behind this source: what a mount on the same registry needs. */
  get origin(): RepositoryClient {
    const last = this.#options.clients.at(-1);
    if (last === undefined) throw new GantryError("internal", `${this.name} has no address`);
    return last;
  }

  async manifest(reference = this.#options.reference, signal?: AbortSignal): Promise<RawManifest> {
    return this.#anywhere(async (client) => {
      const answer = await client.request({
        method: "GET",
        to: `manifests/${reference}`,
        headers: { Accept: acceptedManifests.join(", ") },
        expect: [200],
        doing: `pull the manifest ${shown(this.name, reference)}`,
        signal,
      });
      const bytes = await answer.bytes(maxManifestBytes);
      return verified(bytes, answer, reference, shown(this.name, reference));
    });
  }

  blob(blob: Descriptor, options: BlobRead = {}): AsyncIterable<Uint8Array> {
    return readBlob({ clients: this.#order(), blob, name: this.name, ...options });
  }

  referrers(subject: Digest, artifactType?: string, signal?: AbortSignal): Promise<readonly Descriptor[]> {
    return listReferrers(this.origin, { subject, artifactType, name: this.name, signal });
  }

  tags(signal?: AbortSignal): Promise<readonly string[]> {
    return listTags(this.origin, this.name, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Connections are the transport's and close by themselves.
  }

  /** Where the manifest came from, then the others. */
  #order(): readonly RepositoryClient[] {
    const { clients } = this.#options;
    return [...clients.slice(this.#at), ...clients.slice(0, this.#at)];
  }

  /** A mirror that lacks it or fails is passed over; the registry's own word counts. */
  async #anywhere<T>(work: (client: RepositoryClient) => Promise<T>): Promise<T> {
    const { clients } = this.#options;
    for (const [i, client] of clients.entries()) {
      if (this.#silent.has(client)) continue;
      try {
        const result = await work(client);
        this.#at = i;
        return result;
      } catch (error) {
        const code = error instanceof GantryError ? error.code : "internal";
        if (i === clients.length - 1 || code === "canceled") throw error;
        if (code === "unavailable" || code === "timeout") this.#silent.add(client);
      }
    }
    throw new GantryError("internal", `${this.name} has no address`);
  }
}

function shown(name: string, reference: string): string {
  return `${name}${isDigest(reference) ? "@" : ":"}${reference}`;
}

/** @throws {GantryError} "corrupt" when the bytes are not those of the digest that was asked for or announced */
function verified(bytes: Uint8Array, answer: HttpAnswer, reference: string, what: string): RawManifest {
  const announced = answer.headers.get("docker-content-digest") ?? "";
  const expected = [reference, announced].filter((text) => isDigest(text));
  for (const wanted of expected) {
    const found = digestAs(wanted, bytes);
    if (found === wanted) continue;
    throw new GantryError(
      "corrupt",
      `${what}: the manifest's bytes have digest ${found}, expected ${wanted}`,
      {
        hint: "the registry or something on the way has changed it",
      },
    );
  }
  const digest = expected[0] ?? sha256(bytes);
  const type = answer.headers.get("content-type")?.split(";")[0]?.trim();
  const isTold = type !== undefined && type.startsWith("application/vnd.");
  return { digest, mediaType: parseManifest(bytes, isTold ? type : undefined).mediaType, bytes };
}

function digestAs(like: Digest, bytes: Uint8Array): Digest {
  const algorithm = like.startsWith("sha512:") ? "sha512" : "sha256";
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`);
}
