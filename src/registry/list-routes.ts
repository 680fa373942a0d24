/** Lists: tags, referrers and repositories (distribution-spec end-8, end-12; `_catalog` as Docker's registry has it). */
import { mediaTypes } from "../image/index.ts";
import { type Digest, isDigest } from "../lib/index.ts";
import { json, nextPage } from "./answers.ts";
import { RegistryError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Referrer } from "./metadata.ts";
import type { Registry } from "./registry.ts";

/** Names in one answer. */
const maxNames = 10_000;
const defaultRepositories = 1000;
/** An index must stay below what clients accept of a manifest. */
const maxReferrerBytes = 3 << 20;
const referrersAtOnce = 1000;

export async function listTags(
  registry: Registry,
  exchange: Exchange,
  repository: string,
): Promise<Response> {
  const { metadata } = registry;
  const upstream = registry.upstreams.find((one) => one.serves(repository));
  const limit = limitOf(exchange, maxNames);
  const after = exchange.parameters.get("last") ?? "";
  const theirs = await upstream?.tags(repository, exchange.request.signal);
  const tags =
    theirs === undefined
      ? await metadata.tags(repository, { limit: limit + 1, after })
      : theirs
          .filter((tag) => tag > after)
          .toSorted()
          .slice(0, limit + 1);
  if (tags.length === 0 && theirs === undefined && !(await metadata.hasRepository(repository)))
    throw new RegistryError("NAME_UNKNOWN", `repository name not known to registry: ${repository}`, {
      detail: { name: repository },
    });
  const page = tags.slice(0, limit);
  return json(
    { name: repository, tags: page },
    linkTo(`/v2/${repository}/tags/list`, limit, page, tags.length),
  );
}

export async function listRepositories({ metadata }: Registry, exchange: Exchange): Promise<Response> {
  const limit = limitOf(exchange, defaultRepositories);
  const after = exchange.parameters.get("last") ?? "";
  const names = await metadata.repositories({ limit: limit + 1, after });
  const page = names.slice(0, limit);
  return json({ repositories: page }, linkTo("/v2/_catalog", limit, page, names.length));
}

export async function listReferrers(
  { metadata }: Registry,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  if (!isDigest(reference))
    throw new RegistryError("DIGEST_INVALID", `invalid digest ${JSON.stringify(reference.slice(0, 160))}`);
  const artifactType = exchange.parameters.get("artifactType") ?? undefined;
  const found = await metadata.referrers(repository, reference, {
    artifactType,
    limit: limitOf(exchange, referrersAtOnce) + 1,
    after: exchange.parameters.get("last") ?? "",
  });
  const page = thatFit(found.slice(0, limitOf(exchange, referrersAtOnce)));
  const last = page.at(-1);
  const link =
    last === undefined || page.length === found.length
      ? {}
      : moreReferrers(exchange, last.digest, artifactType);
  return json(
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: page.map(descriptorOf) },
    {
      "Content-Type": mediaTypes.ociIndex,
      ...(artifactType === undefined ? {} : { "OCI-Filters-Applied": "artifactType" }),
      ...link,
    },
  );
}

function descriptorOf({ mediaType, digest, size, artifactType, annotations }: Referrer): object {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

/** The first one in any case, others while there is room. */
function thatFit(referrers: readonly Referrer[]): readonly Referrer[] {
  let bytes = 0;
  const end = referrers.findIndex((one, i) => {
    bytes += JSON.stringify(descriptorOf(one)).length;
    return i > 0 && bytes > maxReferrerBytes;
  });
  return end === -1 ? referrers : referrers.slice(0, end);
}

function moreReferrers(
  exchange: Exchange,
  last: Digest,
  artifactType: string | undefined,
): Readonly<Record<string, string>> {
  const n = exchange.parameters.get("n");
  return nextPage(exchange.path, {
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(n === null ? {} : { n }),
    last,
  });
}

/** `n` of the request. @throws {RegistryError} "PAGINATION_NUMBER_INVALID" has no code in the specification: 400 */
function limitOf({ parameters }: Exchange, whole: number): number {
  const n = parameters.get("n");
  if (n === null || n === "") return whole;
  if (!/^\d{1,9}$/.test(n))
    throw new RegistryError(
      "UNSUPPORTED",
      `n is ${JSON.stringify(n.slice(0, 40))}, not a number of entries`,
      {
        status: 400,
      },
    );
  return Math.min(Number(n), whole);
}

function linkTo(
  path: string,
  limit: number,
  page: readonly string[],
  found: number,
): Readonly<Record<string, string>> {
  const last = page.at(-1);
  return last === undefined || found <= limit ? {} : nextPage(path, { n: String(limit), last });
}
