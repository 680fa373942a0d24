/** Lists that a registry gives in pages: tags, repositories, referrers (distribution-spec, "Content Discovery"). */
import { type Descriptor, maxManifestBytes, mediaTypes, parseManifest } from "../image/index.ts";
import { type Digest, digestHex, GantryError } from "../lib/index.ts";
import type { RepositoryClient } from "./repository-client.ts";
import type { HttpAnswer } from "./transport.ts";

const maxPages = 10_000;
const maxPageBytes = 16 << 20;
/** Of all pages together. */
const maxListBytes = 256 << 20;
/** What registries answer that have no referrers API: by the specification 404, others by habit. */
const noReferrers: readonly number[] = [400, 404, 405, 501];

/** The next page's address (RFC 8288). */
export function nextLink(header: string | null): string | undefined {
  for (const [, target, parameters] of (header ?? "").slice(0, 8192).matchAll(/<([^>]*)>([^,<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next[\s"]|next(?:[\s;]|$))/i.test(parameters ?? "")) return target;
  }
  return undefined;
}

export async function listTags(
  client: RepositoryClient,
  name: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const pages = readPages(client, { first: "tags/list?n=1000", doing: `list the tags of ${name}`, signal });
  const tags: string[] = [];
  for await (const page of pages) tags.push(...textsOf(jsonOf(page, name), "tags"));
  return tags;
}

/** The names of all repositories, where the registry tells them. */
export async function listRepositories(
  client: RepositoryClient,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const first = new URL(`${client.base}/v2/_catalog?n=1000`);
  const pages = readPages(client, { first, doing: `list the repositories of ${client.host}`, signal });
  const names: string[] = [];
  for await (const page of pages) names.push(...textsOf(jsonOf(page, client.host), "repositories"));
  return names;
}

export interface ReferrersRequest {
  readonly subject: Digest;
  readonly artifactType?: string | undefined;
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

export async function listReferrers(
  client: RepositoryClient,
  { subject, artifactType, name, signal }: ReferrersRequest,
): Promise<readonly Descriptor[]> {
  const query = artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
  const doing = `list what refers to ${name}@${subject}`;
  const found: Descriptor[] = [];
  const pages = readPages(client, {
    first: `referrers/${subject}${query}`,
    doing,
    signal,
    missing: noReferrers,
  });
  let any = false;
  for await (const page of pages) {
    any = true;
    found.push(...manifestsOf(page));
  }
  const all = any ? found : await fallbackReferrers(client, subject, signal);
  return artifactType === undefined ? all : all.filter((item) => item.artifactType === artifactType);
}

/** The tag under which registries without referrers API keep the list (distribution-spec, "Referrers Tag Schema"). */
export function referrersTag(subject: Digest): string {
  return `${subject.slice(0, subject.indexOf(":")).slice(0, 32)}-${digestHex(subject).slice(0, 64)}`;
}

/** The list under the tag of the referrers tag schema; empty when there is none. */
export async function fallbackReferrers(
  client: RepositoryClient,
  subject: Digest,
  signal?: AbortSignal,
): Promise<readonly Descriptor[]> {
  const answer = await client.request({
    method: "GET",
    to: `manifests/${referrersTag(subject)}`,
    headers: { Accept: mediaTypes.ociIndex },
    expect: [200, 404],
    doing: `list what refers to ${subject}`,
    signal,
  });
  if (answer.status === 200) return manifestsOf(await answer.bytes(maxManifestBytes));
  await answer.cancel();
  return [];
}

function manifestsOf(bytes: Uint8Array): readonly Descriptor[] {
  const manifest = parseManifest(bytes, mediaTypes.ociIndex);
  return manifest.kind === "index" ? manifest.manifests : [];
}

interface PagesRequest {
  readonly first: string | URL;
  readonly doing: string;
  /** Statuses that are an answer: no page. */
  readonly missing?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

async function* readPages(
  client: RepositoryClient,
  { first, doing, missing = [], signal }: PagesRequest,
): AsyncGenerator<Uint8Array, void, void> {
  const seen = new Set<string>();
  let length = 0;
  let to: string | URL | undefined = first;
  while (to !== undefined) {
    if (seen.size > maxPages || seen.has(String(to)))
      throw new GantryError("corrupt", `${doing}: the list has no end`);
    seen.add(String(to));
    const answer: HttpAnswer = await client.request({
      method: "GET",
      to,
      expect: [200, ...missing],
      doing,
      signal,
    });
    if (answer.status !== 200) return answer.cancel();
    const next = nextLink(answer.headers.get("link"));
    const page = await answer.bytes(maxPageBytes);
    length += page.length;
    if (length > maxListBytes)
      throw new GantryError("corrupt", `${doing}: the list has more than ${maxListBytes} bytes`);
    yield page;
    to = next === undefined ? undefined : sameHost(client.located(next, answer.url, doing), client, doing);
  }
}

/** A list is the registry's own: its next page is not somebody else's. */
function sameHost(url: URL, client: RepositoryClient, doing: string): URL {
  if (url.host === client.host) return url;
  throw new GantryError("denied", `${doing}: its next page is at ${url.host}, which is not followed`);
}

function jsonOf(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new GantryError("corrupt", `the list of ${name} is no JSON`, { cause });
  }
}

const names = {
  tags: /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
  repositories: /^[a-z0-9][a-z0-9._/-]{0,254}$/,
} as const;

function textsOf(value: unknown, key: "tags" | "repositories"): readonly string[] {
  const list =
    typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  if (!Array.isArray(list)) return [];
  // What is no name cannot be asked for, and may be meant for the user's terminal.
  return list.filter((item): item is string => typeof item === "string" && names[key].test(item));
}
