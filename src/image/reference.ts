/** Names of images: the grammar of distribution/reference, with Docker's familiar short forms. */
import { type Digest, GantryError, parseDigest } from "../lib/index.ts";

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

const domainComponent = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainPattern = new RegExp(
  `^(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const pathPattern = /^[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const maxNameLength = 255;

function invalid(text: string, why: string): GantryError {
  return new GantryError("invalid", `invalid reference format${why === "" ? "" : `: ${why}`}`, {
    fields: { reference: text.slice(0, 300) },
  });
}

/** The domain is what stands before the first slash if it looks like a host; else the whole is a path at Docker Hub. */
function splitDomain(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first);
  const domain = isHost ? first : defaultDomain;
  const rest = isHost ? name.slice(slash + 1) : name;
  if (domain === "index.docker.io" || domain === defaultDomain) {
    return { domain: defaultDomain, path: rest.includes("/") ? rest : officialPrefix + rest };
  }
  return { domain, path: rest };
}

/**
 * Parses a name as a user types it: `busybox`, `localhost:5000/a/b:1.2@sha256:…`. A missing tag stays missing.
 * @throws {GantryError} "invalid", in Docker's words
 */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(text, `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const at = text.indexOf("@");
  const digestText = at < 0 ? undefined : text.slice(at + 1);
  const beforeDigest = at < 0 ? text : text.slice(0, at);
  const colon = beforeDigest.lastIndexOf(":");
  const hasTag = colon > beforeDigest.lastIndexOf("/") && colon >= 0;
  const name = hasTag ? beforeDigest.slice(0, colon) : beforeDigest;
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined;
  const { domain, path } = splitDomain(name);
  if (name !== "" && path.toLowerCase() !== path) {
    throw invalid(text, `repository name (${path.replace(/^library\//, "")}) must be lowercase`);
  }
  if (name === "" || !domainPattern.test(domain) || !pathPattern.test(path)) throw invalid(text, "");
  if (tag !== undefined && !tagPattern.test(tag))
    throw invalid(text, tag.length > 128 ? "invalid tag format" : "");
  if (domain.length + 1 + path.length > maxNameLength) {
    throw invalid(text, `repository name must not be more than ${maxNameLength} characters`);
  }
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digestText === undefined ? {} : { digest: referenceDigest(text, digestText) }),
  };
}

function referenceDigest(text: string, digest: string): Digest {
  try {
    return parseDigest(digest);
  } catch {
    // The grammar's own word for it is clearer to users of Docker.
    throw invalid(text, "");
  }
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
