/** `docker search`: the old index's API, which Docker Hub and few others have. */
import { GantryError } from "../lib/index.ts";
import { type AuthConfig, credentialsOf } from "./auth.ts";
import { printable } from "./printable.ts";
import { registryError } from "./registry-error.ts";
import type { Transport } from "./transport.ts";

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}

export interface SearchRequest {
  readonly base: string;
  readonly term: string;
  readonly limit: number;
  readonly auth: AuthConfig;
}

const maxBytes = 4 << 20;

/** @throws {GantryError} "unsupported" where the registry has no search */
export async function search(
  transport: Transport,
  { base, term, limit, auth }: SearchRequest,
): Promise<readonly SearchResult[]> {
  const url = new URL(`${base}/v1/search`);
  url.searchParams.set("q", term);
  url.searchParams.set("n", String(limit));
  const credentials = credentialsOf(auth);
  const header =
    credentials && Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
  const headers = header === undefined ? {} : { Authorization: `Basic ${header}` };
  const answer = await transport.send({ method: "GET", url, headers });
  if (answer.status === 404 || answer.status === 405) {
    await answer.cancel();
    throw new GantryError("unsupported", `the registry at ${url.host} offers no search`, {
      hint: "list what it has with: gantry image tags HOST/REPOSITORY",
    });
  }
  if (answer.status !== 200) throw await registryError(answer, `search ${url.host}`);
  const text = new TextDecoder().decode(await answer.bytes(maxBytes));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GantryError("unavailable", `${url.host} answered a search with no JSON`, { cause });
  }
  const list = typeof value === "object" && value !== null && "results" in value ? value.results : [];
  return (Array.isArray(list) ? list : []).slice(0, limit).map(toResult);
}

function toResult(item: unknown): SearchResult {
  const fields = (typeof item === "object" && item !== null ? item : {}) as Record<string, unknown>;
  const text = (key: string): string =>
    typeof fields[key] === "string" ? printable(String(fields[key]), 1_000) : "";
  return {
    name: text("name"),
    description: text("description"),
    star_count: Number(fields["star_count"]) || 0,
    is_official: fields["is_official"] === true,
    is_automated: fields["is_automated"] === true,
  };
}
