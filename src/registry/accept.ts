/** Which manifest a client gets that cannot read an index (docker before 1.13 and tools as old). */
import {
  type Descriptor,
  isManifestType,
  mediaTypes,
  parseManifest,
  type RawManifest,
} from "../image/index.ts";
import type { Digest } from "../lib/index.ts";

const indexTypes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerList]);

/** The image an index has for such a client; undefined: it reads the manifest as it is. */
export function fallbackOf(manifest: RawManifest, accept: string | null): Digest | undefined {
  if (accept === null || !indexTypes.has(manifest.mediaType)) return undefined;
  const accepted = accept.split(",").map((item) => item.split(";")[0]?.trim() ?? "");
  // Who names no manifest at all takes any: curl, browsers.
  if (!accepted.some(isManifestType) || accepted.some(takesAny)) return undefined;
  if (accepted.some((type) => indexTypes.has(type))) return undefined;
  const index = parseManifest(manifest.bytes, manifest.mediaType);
  const images =
    index.kind === "index" ? index.manifests.filter((one) => accepted.includes(one.mediaType)) : [];
  return images.find(isLinuxAmd64)?.digest;
}

const takesAny = (type: string): boolean => type === "*/*" || type === "application/*";

const isLinuxAmd64 = ({ platform }: Descriptor): boolean =>
  platform?.os === "linux" && platform.architecture === "amd64";
