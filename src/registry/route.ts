/** Addresses of the API (distribution-spec, "Endpoints") as data. */
import { RegistryError } from "./errors.ts";
import { checkRepositoryName } from "./names.ts";

export type Route =
  | { readonly kind: "ping" | "catalog" | "other" }
  | { readonly kind: "tags" | "uploads"; readonly repository: string }
  | {
      readonly kind: "manifest" | "blob" | "referrers" | "upload";
      readonly repository: string;
      /** A tag, a digest or an upload's id, not checked yet. */
      readonly reference: string;
    };

const kinds: ReadonlyMap<string, "manifest" | "blob" | "referrers"> = new Map([
  ["manifests", "manifest"],
  ["blobs", "blob"],
  ["referrers", "referrers"],
]);

const maxPathLength = 4096;

/**
 * Reads a path from its end, because names of repositories may hold any of the API's own words.
 * @throws {RegistryError} "NAME_INVALID"
 */
export function parseRoute(rawPath: string): Route {
  if (rawPath === "/v2/" || rawPath === "/v2") return { kind: "ping" };
  if (!rawPath.startsWith("/v2/") || rawPath.length > maxPathLength) return { kind: "other" };
  const path = rawPath.includes("%") ? decoded(rawPath) : rawPath;
  if (path === "/v2/_catalog") return { kind: "catalog" };
  if (path.endsWith("/tags/list")) return { kind: "tags", repository: nameIn(path, "/tags/list".length) };
  if (path.endsWith("/blobs/uploads/"))
    return { kind: "uploads", repository: nameIn(path, "/blobs/uploads/".length) };
  if (path.endsWith("/blobs/uploads"))
    return { kind: "uploads", repository: nameIn(path, "/blobs/uploads".length) };
  return withReference(path);
}

function withReference(path: string): Route {
  const last = path.lastIndexOf("/");
  const reference = path.slice(last + 1);
  const before = path.lastIndexOf("/", last - 1);
  const word = path.slice(before + 1, last);
  if (word === "uploads" && path.slice(0, before).endsWith("/blobs")) {
    const cut = path.length - before + "/blobs".length;
    return { kind: "upload", repository: nameIn(path, cut), reference };
  }
  const kind = kinds.get(word);
  if (kind === undefined) return { kind: "other" };
  return { kind, repository: nameIn(path, path.length - before), reference };
}

function nameIn(path: string, suffixLength: number): string {
  return checkRepositoryName(path.slice("/v2/".length, path.length - suffixLength));
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // URIError: no UTF-8 behind the percent signs.
    throw new RegistryError("NAME_INVALID", "the address is not encoded as a URL should be");
  }
}
