/** Names of images: the grammar of distribution/reference, with Docker's familiar short forms. */
import { type Digest, GantryError, isDigest } from "../lib/index.ts";

/** A parsed name in canonical form. */
export interface Reference {
  /** Registry host, `docker.io` when the name has none. */
  readonly domain: string;
  /** Repository path: `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const defaultDomain = "docker.io";
const officialPrefix = "library/";

const domainComponent = "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)";
const domainPattern = new RegExp(
  `^(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const pathComponent = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const pathPattern = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
/** Of the path: the domain has no limit but that of the whole text. */
const maxPathLength = 255;
/** Longer texts are no names, whatever they hold. */
const maxTextLength = 4096;

function invalid(text: string, why = ""): GantryError {
  return new GantryError("invalid", `invalid reference format${why === "" ? "" : `: ${why}`}`, {
    fields: { reference: text.slice(0, 300) },
  });
}

/** The domain is what stands before the first slash if it looks like a host; else the whole is a path at Docker Hub. */
function splitDomain(name: string): { readonly domain: string; readonly rest: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first);
  const domain = isHost && first !== "index.docker.io" ? first : defaultDomain;
  const rest = isHost ? name.slice(slash + 1) : name;
  return { domain, rest: domain === defaultDomain && !rest.includes("/") ? officialPrefix + rest : rest };
}

interface Parts {
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** Path, tag and digest by their marks; undefined when one of them is not what the grammar allows. */
function splitParts(rest: string): Parts | undefined {
  const at = rest.indexOf("@");
  const digest = at < 0 ? undefined : rest.slice(at + 1);
  const named = at < 0 ? rest : rest.slice(0, at);
  const colon = named.indexOf(":");
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const path = colon < 0 ? named : named.slice(0, colon);
  const isRight =
    pathPattern.test(path) &&
    (tag === undefined || tagPattern.test(tag)) &&
    (digest === undefined || digestPattern.test(digest));
  return isRight ? { path, tag, digest } : undefined;
}

/**
 * Parses a name as a user types it: `busybox`, `localhost:5000/a/b:1.2@sha256:…`. A missing tag stays missing.
 * @throws {GantryError} "invalid", in Docker's words
 */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text))
    throw invalid(text, `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  if (text.length > maxTextLength) throw invalid(text, `it has more than ${maxTextLength} characters`);
  const { domain, rest } = splitDomain(text);
  // All before the first colon, a digest's algorithm among it, as Docker has it.
  const remote = rest.split(":")[0] ?? "";
  if (remote.toLowerCase() !== remote) throw invalid(text, `repository name (${remote}) must be lowercase`);
  const parts = splitParts(rest);
  if (parts === undefined || !domainPattern.test(domain)) {
    const isCase = splitParts(rest.toLowerCase()) !== undefined && domainPattern.test(domain);
    throw invalid(text, isCase ? "repository name must be lowercase" : "");
  }
  const { path, tag, digest } = parts;
  if (path.length > maxPathLength)
    throw invalid(text, `repository name must not be more than ${maxPathLength} characters`);
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest: referenceDigest(text, digest) }),
  };
}

/** The grammar allows any algorithm; images have sha256 or sha512. */
function referenceDigest(text: string, digest: string): Digest {
  if (isDigest(digest)) return digest;
  const algorithm = digest.slice(0, digest.indexOf(":"));
  const known = algorithm === "sha256" || algorithm === "sha512";
  throw invalid(text, known ? "invalid checksum digest length" : `unsupported digest algorithm ${algorithm}`);
}

/** undefined for what is no name, such as the beginning of an id with a prefix. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    // "invalid" is the one thing that parseReference says.
    if (error instanceof GantryError) return undefined;
    throw error;
  }
}

/** With `latest` where a name has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: "latest" }
    : reference;
}

function suffix(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}

/** `docker.io/library/busybox:latest`: the form that is stored. */
export function canonicalName(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffix(reference)}`;
}

/** `busybox:latest`: the form that is shown. */
export function familiarName(reference: Reference): string {
  return `${familiarRepository(reference)}${suffix(reference)}`;
}

export function familiarRepository(reference: Reference): string {
  if (reference.domain !== defaultDomain) return `${reference.domain}/${reference.path}`;
  const rest = reference.path.startsWith(officialPrefix)
    ? reference.path.slice(officialPrefix.length)
    : reference.path;
  // A one-word path below library/ is an official image; anything deeper keeps the prefix.
  return rest.includes("/") ? reference.path : rest;
}
