/** A client of registries for tests, small enough that what it does is plain: pushes and pulls images of random layers. */
import { createHash, randomBytes } from "node:crypto";

const manifestType = "application/vnd.oci.image.manifest.v1+json";

export interface TestBlob {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface PushPlan {
  readonly repository: string;
  readonly tag: string;
  readonly layers: readonly TestBlob[];
  /** Where layers are mounted from, when they are there. */
  readonly mountFrom?: string;
  /** Layers go in pieces of this size by PATCH; otherwise in one PUT. */
  readonly chunkBytes?: number;
}

export function blobOf(bytes: Uint8Array): TestBlob {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, bytes };
}

export function randomBlob(size: number): TestBlob {
  return blobOf(randomBytes(size));
}

/** What a registry answered that it should not have. */
export class PushError extends Error {}

/** @param bases origins of instances of one registry: requests go to one after the other */
export class RegistryClient {
  readonly #bases: readonly string[];
  /** Of every request: who asks. */
  headers: Readonly<Record<string, string>> = {};
  #turn = 0;

  constructor(...bases: readonly string[]) {
    this.#bases = bases;
  }

  async ask(path: string, init: BunFetchRequestInit = {}, wanted: readonly number[] = []): Promise<Response> {
    const base = this.#bases[this.#turn++ % this.#bases.length] ?? "";
    const headers = { ...this.headers, ...init.headers };
    const answer = await fetch(new URL(path, base), { redirect: "follow", ...init, headers });
    if (wanted.length > 0 && !wanted.includes(answer.status))
      throw new PushError(`${init.method ?? "GET"} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  /** @returns the manifest's digest once the registry has acknowledged it */
  async push(plan: PushPlan): Promise<string> {
    const { repository, tag, layers } = plan;
    const config = blobOf(
      Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", tag, repository })),
    );
    for (const blob of [config, ...layers]) await this.#ensure(plan, blob);
    const describe = (mediaType: string, { digest, bytes }: TestBlob): object => ({
      mediaType,
      digest,
      size: bytes.length,
    });
    const manifest = blobOf(
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: manifestType,
          config: describe("application/vnd.oci.image.config.v1+json", config),
          layers: layers.map((layer) => describe("application/vnd.oci.image.layer.v1.tar", layer)),
        }),
      ),
    );
    const put = { method: "PUT", headers: { "content-type": manifestType }, body: manifest.bytes };
    await drained(await this.ask(`/v2/${repository}/manifests/${tag}`, put, [201]));
    return manifest.digest;
  }

  async #ensure(plan: PushPlan, blob: TestBlob): Promise<void> {
    const { repository, mountFrom, chunkBytes = Number.POSITIVE_INFINITY } = plan;
    const head = await this.ask(`/v2/${repository}/blobs/${blob.digest}`, { method: "HEAD" }, [200, 404]);
    if (head.status === 200) return;
    const mount = mountFrom === undefined ? "" : `?mount=${blob.digest}&from=${mountFrom}`;
    const begun = await drained(
      await this.ask(`/v2/${repository}/blobs/uploads/${mount}`, { method: "POST" }, [201, 202]),
    );
    if (begun.status === 201) return;
    let location = begun.headers.get("location") ?? "";
    let at = 0;
    for (; blob.bytes.length - at > chunkBytes; at += chunkBytes) {
      const body = blob.bytes.subarray(at, at + chunkBytes);
      const headers = {
        "content-type": "application/octet-stream",
        "content-range": `${at}-${at + body.length - 1}`,
      };
      const answer = await drained(await this.ask(location, { method: "PATCH", headers, body }, [202]));
      location = answer.headers.get("location") ?? location;
    }
    const separator = location.includes("?") ? "&" : "?";
    const put = {
      method: "PUT",
      headers: { "content-type": "application/octet-stream" },
      body: blob.bytes.subarray(at),
    };
    await drained(await this.ask(`${location}${separator}digest=${blob.digest}`, put, [201]));
  }

  /** Pulls all of an image and digests it; what is wrong with it. */
  async verify(repository: string, reference: string): Promise<readonly string[]> {
    const answer = await this.ask(`/v2/${repository}/manifests/${reference}`, {
      headers: { accept: manifestType },
    });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (answer.status !== 200) return [`${repository}@${reference}: ${answer.status}`];
    if (reference.startsWith("sha256:") && blobOf(bytes).digest !== reference)
      return [`${repository}@${reference}: another manifest`];
    const wrong: string[] = [];
    for (const digest of childrenOf(bytes)) {
      const blob = await this.ask(`/v2/${repository}/blobs/${digest}`);
      const body = new Uint8Array(await blob.arrayBuffer());
      if (blob.status !== 200 || blobOf(body).digest !== digest)
        wrong.push(`${repository}@${digest}: ${blob.status}, ${body.length} bytes`);
    }
    return wrong;
  }
}

export function childrenOf(manifest: Uint8Array): readonly string[] {
  return Array.from(
    Buffer.from(manifest)
      .toString()
      .matchAll(/"digest":"(sha256:[0-9a-f]{64})"/g),
    ([, d]) => d ?? "",
  );
}

async function drained(answer: Response): Promise<Response> {
  await answer.arrayBuffer();
  return answer;
}
