/** Registries behind this one, as settings name them: `PREFIX=SERVER`. */
import { join } from "node:path";
import { DockerConfig, Registries } from "../../distribution/index.ts";
import { parseReference } from "../../image/index.ts";
import { GantryError, type Logger } from "../../lib/index.ts";
import type { BlobStore } from "../blob-store.ts";
import type { Resolved } from "../config/resolved.ts";
import { parsePeriod, parseSize } from "../config/values.ts";
import type { Metadata } from "../metadata.ts";
import { isRepositoryName } from "../names.ts";
import { UpstreamCache } from "../upstream-cache.ts";

export interface UpstreamParts {
  readonly settings: Resolved;
  readonly metadata: Metadata;
  readonly blobs: BlobStore;
  readonly logger: Logger;
}

/** @throws {GantryError} "invalid" */
export function openUpstreams({
  settings,
  metadata,
  blobs,
  logger,
}: UpstreamParts): readonly UpstreamCache[] {
  const wanted = settings.list("upstream").map(parseUpstream);
  if (wanted.length === 0) return [];
  const registries = new Registries();
  const credentials = new DockerConfig(settings.optional("upstream-credentials"));
  const maxBytes = settings.optional("upstream-max");
  return wanted.map(
    ({ prefix, server }) =>
      new UpstreamCache({
        server,
        prefix,
        metadata,
        blobs,
        logger,
        spoolDirectory: join(settings.text("root"), "spool"),
        ttlMs: parsePeriod(settings.text("upstream-ttl")),
        ...(maxBytes === undefined ? {} : { maxBytes: parseSize(maxBytes) }),
        source: async (repository) =>
          registries.source(parseReference(`${server}/${repository}`), await credentials.credentials(server)),
      }),
  );
}

/** `docker.io=docker.io`, `mirror/quay=quay.io`; `=docker.io` for all names. @throws {GantryError} "invalid" */
export function parseUpstream(text: string): { readonly prefix: string; readonly server: string } {
  const at = text.indexOf("=");
  const [prefix, server] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  if (at < 0 || (prefix !== "" && !isRepositoryName(prefix)) || !/^[A-Za-z0-9.[\]:-]+$/.test(server))
    throw new GantryError("invalid", `${JSON.stringify(text)} is no PREFIX=SERVER`, {
      hint: "for example docker.io=docker.io: docker.io/library/debian here is library/debian there",
    });
  return { prefix, server };
}
