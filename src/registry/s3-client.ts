/**
 * The requests of S3's API that the blob store makes. Bun's own client has no multipart upload that outlives a process, so
 * these are signed here. All but the body of an object is small; requests are repeated while S3 is in trouble.
 */
import { GantryError, messageOf } from "../lib/index.ts";
import { type S3Place } from "./s3-config.ts";
import { canonicalQuery, presignedUrl, sha256Hex, signedHeaders, uriEncode } from "./s3-signature.ts";
import { elementsOf, textOf } from "./s3-xml.ts";

export interface S3Object {
  readonly key: string;
  readonly size: number;
  readonly modifiedMs: number;
}

export interface S3Part {
  readonly number: number;
  readonly etag: string;
  readonly size: number;
}

export interface S3Upload {
  readonly key: string;
  readonly uploadId: string;
  readonly startedMs: number;
}

interface Call {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Statuses that are answers; others are errors. */
  readonly accept: readonly number[];
}

const tries = 6;
const answerTimeoutMs = 60_000;
const maxXmlBytes = 4 << 20;

export class S3Client {
  readonly place: S3Place;

  constructor(place: S3Place) {
    this.place = place;
  }

  /** Headers of an object; undefined: there is none. */
  async head(key: string): Promise<Headers | undefined> {
    const answer = await this.#call({ method: "HEAD", key, accept: [200, 404] });
    return answer.status === 200 ? answer.headers : undefined;
  }

  /** The object with its body still to be read; undefined: there is none. */
  async get(key: string, range?: string): Promise<Response | undefined> {
    const headers = range === undefined ? {} : { range };
    const answer = await this.#call({ method: "GET", key, headers, accept: [200, 206, 404, 416] });
    if (answer.status === 200 || answer.status === 206) return answer;
    await answer.body?.cancel();
    return undefined;
  }

  /** Returns the object's etag. */
  async put(
    key: string,
    body: Uint8Array | string,
    meta: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const headers: Record<string, string> = { "content-type": "application/octet-stream" };
    for (const [name, value] of Object.entries(meta)) headers[`x-amz-meta-${name}`] = value;
    const answer = await this.#drained({ method: "PUT", key, headers, body, accept: [200] });
    return answer.headers.get("etag") ?? "";
  }

  /** No error when there is none. */
  async delete(key: string): Promise<void> {
    await this.#drained({ method: "DELETE", key, accept: [200, 204, 404] });
  }

  async *list(prefix: string): AsyncIterable<S3Object> {
    for (let token: string | undefined = ""; token !== undefined;) {
      const query: Record<string, string> = { "list-type": "2", prefix: this.place.prefix + prefix };
      if (token !== "") query["continuation-token"] = token;
      const xml = await this.#xml({ method: "GET", query, accept: [200] });
      for (const item of elementsOf(xml, "Contents")) {
        yield {
          key: textOf(item, "Key").slice(this.place.prefix.length),
          size: Number(textOf(item, "Size")),
          modifiedMs: Date.parse(textOf(item, "LastModified")),
        };
      }
      const next = textOf(xml, "NextContinuationToken");
      token = textOf(xml, "IsTruncated") === "true" && next !== "" ? next : undefined;
    }
  }

  async createMultipart(key: string): Promise<string> {
    const headers = { "content-type": "application/octet-stream" };
    const xml = await this.#xml({ method: "POST", key, headers, query: { uploads: "" }, accept: [200] });
    return textOf(xml, "UploadId");
  }

  async uploadPart(key: string, uploadId: string, number: number, body: Uint8Array): Promise<S3Part> {
    const query = { partNumber: String(number), uploadId };
    const answer = await this.#drained({ method: "PUT", key, query, body, accept: [200] });
    return { number, etag: answer.headers.get("etag") ?? "", size: body.length };
  }

  /** In order; undefined: no such upload. */
  async parts(key: string, uploadId: string): Promise<readonly S3Part[] | undefined> {
    const parts: S3Part[] = [];
    for (let marker: string | undefined = "0"; marker !== undefined;) {
      const query = { uploadId, "part-number-marker": marker };
      const answer = await this.#call({ method: "GET", key, query, accept: [200, 404] });
      const xml = await bounded(answer);
      if (answer.status === 404) return undefined;
      for (const item of elementsOf(xml, "Part"))
        parts.push({
          number: Number(textOf(item, "PartNumber")),
          etag: textOf(item, "ETag"),
          size: Number(textOf(item, "Size")),
        });
      const next = textOf(xml, "NextPartNumberMarker");
      marker = textOf(xml, "IsTruncated") === "true" && next !== marker ? next : undefined;
    }
    return parts.sort((a, b) => a.number - b.number);
  }

  /**
   * Makes the parts one object; fails when a part is not the one of its etag.
   * @throws {GantryError} "not-found" when there is no such upload
   */
  async complete(key: string, uploadId: string, parts: readonly S3Part[]): Promise<void> {
    const items = parts.map((p) => `<Part><PartNumber>${p.number}</PartNumber><ETag>${p.etag}</ETag></Part>`);
    const body = `<CompleteMultipartUpload>${items.join("")}</CompleteMultipartUpload>`;
    const xml = await this.#xml({ method: "POST", key, query: { uploadId }, body, accept: [200] });
    // S3 answers 200 before it knows: the error is in the body then.
    if (/<Error[ >]/.test(xml)) throw this.#failed("complete an upload", 200, xml);
  }

  async abort(key: string, uploadId: string): Promise<void> {
    await this.#drained({ method: "DELETE", key, query: { uploadId }, accept: [200, 204, 404] });
  }

  async *multiparts(prefix: string): AsyncIterable<S3Upload> {
    for (let marker: readonly [string, string] | undefined = ["", ""]; marker !== undefined;) {
      const query: Record<string, string> = { uploads: "", prefix: this.place.prefix + prefix };
      if (marker[0] !== "") Object.assign(query, { "key-marker": marker[0], "upload-id-marker": marker[1] });
      const xml = await this.#xml({ method: "GET", query, accept: [200] });
      for (const item of elementsOf(xml, "Upload"))
        yield {
          key: textOf(item, "Key").slice(this.place.prefix.length),
          uploadId: textOf(item, "UploadId"),
          startedMs: Date.parse(textOf(item, "Initiated")),
        };
      const next = textOf(xml, "NextKeyMarker");
      const isMore: boolean = textOf(xml, "IsTruncated") === "true" && next !== "" && next !== marker[0];
      marker = isMore ? [next, textOf(xml, "NextUploadIdMarker")] : undefined;
    }
  }

  presigned(key: string, expiresSeconds: number): string {
    return presignedUrl(this.#signing("GET", this.#url({ key })), expiresSeconds);
  }

  #url({ key = "", query = {} }: Pick<Call, "key" | "query">): URL {
    const url = new URL(this.place.base);
    if (key !== "") url.pathname += (this.place.prefix + key).split("/").map(uriEncode).join("/");
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    url.search = canonicalQuery(url);
    return url;
  }

  #signing(method: string, url: URL): Parameters<typeof signedHeaders>[0] {
    const { region, credentials } = this.place;
    return { method, url, region, credentials, atMs: Date.now() };
  }

  async #drained(call: Call): Promise<Response> {
    const answer = await this.#call(call);
    await bounded(answer);
    return answer;
  }

  async #xml(call: Call): Promise<string> {
    return bounded(await this.#call(call));
  }

  /** @throws {GantryError} "denied", "not-found", "unavailable", "exhausted" */
  async #call(call: Call): Promise<Response> {
    const body = call.body ?? "";
    const hash = sha256Hex(body);
    for (let attempt = 1; ; attempt++) {
      const url = this.#url(call);
      const headers = signedHeaders(this.#signing(call.method, url), call.headers ?? {}, hash);
      let failure: GantryError;
      try {
        const answer = await answered(url, {
          method: call.method,
          headers,
          redirect: "manual",
          decompress: false,
          ...(call.method === "PUT" || call.method === "POST" ? { body } : {}),
        });
        if (call.accept.includes(answer.status)) return answer;
        failure = this.#failed(doing(call), answer.status, await bounded(answer));
        if (answer.status < 500 && answer.status !== 429) throw failure;
      } catch (error) {
        if (error instanceof GantryError) throw error;
        failure = new GantryError("unavailable", `${this.place.name} does not answer: ${messageOf(error)}`, {
          cause: error,
        });
      }
      if (attempt >= tries) throw failure;
      await Bun.sleep(Math.min(50 * 2 ** attempt, 2000) * (0.5 + Math.random() / 2));
    }
  }

  #failed(what: string, status: number, xml: string): GantryError {
    const code = textOf(xml, "Code") || `status ${status}`;
    const message = `${this.place.name}: cannot ${what}: ${code} ${textOf(xml, "Message").slice(0, 200)}`;
    const kinds = { 401: "denied", 403: "denied", 404: "not-found", 507: "exhausted" } as const;
    const kind = status in kinds ? kinds[status as keyof typeof kinds] : "unavailable";
    return new GantryError(kind, message.trimEnd(), { fields: { status } });
  }
}

/** The answer's head within the time-out; the body may take as long as its reader likes. */
async function answered(url: URL, init: BunFetchRequestInit): Promise<Response> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error("no answer in time")), answerTimeoutMs);
  try {
    return await fetch(url, { ...init, signal: controller.signal });
  } finally {
    clearTimeout(timer);
  }
}

async function bounded(answer: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of answer.body ?? []) {
    pieces.push(piece);
    length += piece.length;
    if (length > maxXmlBytes) throw new GantryError("unavailable", "S3 has answered with too many bytes");
  }
  return Buffer.concat(pieces).toString("utf8");
}

function doing({ method, key = "", query = {} }: Call): string {
  const [sub] = Object.keys(query).filter((name) => query[name] === "" || name === "uploadId");
  return `${method.toLowerCase()} ${key === "" ? "the bucket" : key}${sub === undefined ? "" : ` (${sub})`}`;
}
