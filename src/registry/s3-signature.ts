/** AWS Signature Version 4, as far as S3 needs it ("Authenticating Requests (AWS Signature Version 4)"). */
import { createHash, createHmac } from "node:crypto";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface Signing {
  readonly method: string;
  readonly url: URL;
  readonly region: string;
  readonly credentials: Credentials;
  readonly atMs: number;
}

/** The payload's hash when the payload is not signed: presigned URLs. */
const unsigned = "UNSIGNED-PAYLOAD";
const algorithm = "AWS4-HMAC-SHA256";

/**
 * The headers that make a request one of ours; `headers` are signed, too.
 * @param payloadHash sha256 of the body in hex
 */
export function signedHeaders(
  signing: Signing,
  headers: Readonly<Record<string, string>>,
  payloadHash: string,
): Record<string, string> {
  const { credentials } = signing;
  const time = amzTime(signing.atMs);
  const all: Record<string, string> = {
    ...headers,
    "x-amz-content-sha256": payloadHash,
    "x-amz-date": time,
    ...(credentials.sessionToken === undefined ? {} : { "x-amz-security-token": credentials.sessionToken }),
  };
  const names = ["host", ...Object.keys(all)].sort();
  const canonical = names.map((name) => `${name}:${(all[name] ?? signing.url.host).trim()}\n`).join("");
  const signature = sign(signing, time, canonical, names.join(";"), payloadHash);
  const credential = `${credentials.accessKeyId}/${scopeOf(signing, time)}`;
  all["authorization"] =
    `${algorithm} Credential=${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return all;
}

/** A URL that anybody may GET for a while. */
export function presignedUrl(signing: Signing, expiresSeconds: number): string {
  const { credentials } = signing;
  const time = amzTime(signing.atMs);
  const url = new URL(signing.url);
  const query = url.searchParams;
  query.set("X-Amz-Algorithm", algorithm);
  query.set("X-Amz-Credential", `${credentials.accessKeyId}/${scopeOf(signing, time)}`);
  query.set("X-Amz-Date", time);
  query.set("X-Amz-Expires", String(expiresSeconds));
  if (credentials.sessionToken !== undefined) query.set("X-Amz-Security-Token", credentials.sessionToken);
  query.set("X-Amz-SignedHeaders", "host");
  const signature = sign({ ...signing, url }, time, `host:${url.host}\n`, "host", unsigned);
  url.search = `${canonicalQuery(url)}&X-Amz-Signature=${signature}`;
  return url.href;
}

export function sha256Hex(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Percent-encoding as S3 wants it: all but unreserved characters. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The query in the order and spelling that is signed; what is sent must be the same. */
export function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`)
    .sort()
    .join("&");
}

function sign(signing: Signing, time: string, headers: string, names: string, payloadHash: string): string {
  const { url } = signing;
  const request = [signing.method, url.pathname, canonicalQuery(url), headers, names, payloadHash].join("\n");
  const text = [algorithm, time, scopeOf(signing, time), sha256Hex(request)].join("\n");
  const steps = [time.slice(0, 8), signing.region, "s3", "aws4_request"];
  const key = steps.reduce<Uint8Array>(hmac, Buffer.from(`AWS4${signing.credentials.secretAccessKey}`));
  return Buffer.from(hmac(key, text)).toString("hex");
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}

function scopeOf(signing: Signing, time: string): string {
  return `${time.slice(0, 8)}/${signing.region}/s3/aws4_request`;
}

/** 20261125T024500Z */
function amzTime(atMs: number): string {
  return new Date(atMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
}
