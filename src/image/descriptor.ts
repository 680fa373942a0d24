/** Descriptors as data (image-spec descriptor.md), and the words in which foreign fields are refused. */
import { createHash } from "node:crypto";
import { type Digest, digestHex, GantryError, isDigest } from "../lib/index.ts";
import { caseTable, refuseOtherCase } from "./strict-json.ts";

export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly "os.version"?: string;
  readonly "os.features"?: readonly string[];
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** The content itself, base64. */
  readonly data?: string;
  readonly artifactType?: string;
  readonly platform?: Platform;
}

type Json = Readonly<Record<string, unknown>>;

const knownFields = caseTable([
  "mediaType",
  "digest",
  "size",
  "urls",
  "annotations",
  "data",
  "artifactType",
  "platform",
  "architecture",
  "os",
  "os.version",
  "os.features",
  "variant",
]);

/** RFC 6838 with room for parameters, which some artifacts have. */
const mediaTypePattern = /^[A-Za-z0-9][!-~]*\/[!-~][ -~]*$/;
const maxMediaTypeLength = 255;

/** @throws {GantryError} "corrupt", naming the field */
export function parseDescriptor(value: unknown, field: string): Descriptor {
  const document = objectOf(value, field);
  refuseOtherCase(document, knownFields, (why) => bad(`${field}: ${why}`));
  const { digest, size, urls, platform } = document;
  if (typeof digest !== "string" || !isDigest(digest)) throw bad(`${field}.digest is ${shown(digest)}`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw bad(`${field}.size is ${shown(size)}`);
  const mediaType = mediaTypeOf(document, "mediaType", field);
  if (mediaType === undefined) throw bad(`${field}.mediaType is missing`);
  const data = optionalText(document, "data", field);
  if (data !== undefined) checkData(data, { digest, size }, field);
  return {
    mediaType,
    digest,
    size,
    ...optional("urls", isAbsent(urls) ? undefined : textsOf(urls, `${field}.urls`)),
    ...optional("annotations", annotationsOf(document, "annotations", field)),
    ...optional("data", data),
    ...optional("artifactType", mediaTypeOf(document, "artifactType", field)),
    ...optional("platform", isAbsent(platform) ? undefined : platformOf(platform, `${field}.platform`)),
  };
}

/** Embedded content is what the digest says, or somebody will read other bytes than those that were checked. */
function checkData(data: string, { digest, size }: { digest: Digest; size: number }, field: string): void {
  const bytes = Buffer.from(data, "base64");
  if (bytes.toString("base64") !== data) throw bad(`${field}.data is no base64`);
  if (bytes.length !== size) throw bad(`${field}.data has ${bytes.length} bytes, but its size is ${size}`);
  const algorithm = digest.slice(0, digest.indexOf(":"));
  if (createHash(algorithm).update(bytes).digest("hex") !== digestHex(digest))
    throw bad(`${field}.data is not what its digest says`);
}

function platformOf(value: unknown, field: string): Platform {
  const document = objectOf(value, field);
  refuseOtherCase(document, knownFields, (why) => bad(`${field}: ${why}`));
  const features = document["os.features"];
  return {
    architecture: optionalText(document, "architecture", field) ?? "",
    os: optionalText(document, "os", field) ?? "",
    ...optional("os.version", optionalText(document, "os.version", field)),
    ...optional("os.features", isAbsent(features) ? undefined : textsOf(features, `${field}.os.features`)),
    ...optional("variant", optionalText(document, "variant", field)),
  };
}

export function mediaTypeOf(document: Json, key: string, field?: string): string | undefined {
  const type = optionalText(document, key, field);
  // Go's tools write an empty one for none.
  if (type === undefined || type === "") return undefined;
  if (type.length > maxMediaTypeLength || !mediaTypePattern.test(type))
    throw bad(`${field === undefined ? key : `${field}.${key}`} is ${shown(type)}, which is no media type`);
  return type;
}

export function annotationsOf(
  document: Json,
  key: string,
  field?: string,
): Readonly<Record<string, string>> | undefined {
  const value = document[key];
  if (isAbsent(value)) return undefined;
  const name = field === undefined ? key : `${field}.${key}`;
  const entries: [string, string][] = [];
  for (const [at, text] of Object.entries(objectOf(value, name))) {
    if (typeof text !== "string") throw bad(`${name}[${shown(at)}] is ${shown(text)}, not a string`);
    entries.push([at, text]);
  }
  return Object.fromEntries(entries);
}

function textsOf(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value)) throw bad(`${field} is ${shown(value)}, not a list`);
  return value.map((item, i) => {
    if (typeof item !== "string") throw bad(`${field}[${i}] is ${shown(item)}, not a string`);
    return item;
  });
}

export function optionalText(document: Json, key: string, field?: string): string | undefined {
  const value = document[key];
  if (isAbsent(value)) return undefined;
  const name = field === undefined ? key : `${field}.${key}`;
  if (typeof value !== "string") throw bad(`${name} is ${shown(value)}, not a string`);
  return value;
}

export function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

export function objectOf(value: unknown, field: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad(`${field} is ${shown(value)}, not an object`);
  return value as Json;
}

/** `null` is how Go writes what is not there. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

export const shown = (value: unknown): string => (JSON.stringify(value) ?? "missing").slice(0, 120);

export function bad(why: string, cause?: unknown): GantryError {
  return new GantryError("corrupt", `invalid manifest: ${why}`, cause === undefined ? {} : { cause });
}
