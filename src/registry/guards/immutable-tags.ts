/** Tags that stay what they are. */
import { isDigest } from "../../lib/index.ts";
import { Cached } from "../cached.ts";
import { RegistryError } from "../errors.ts";
import { type ImmutableRule, isImmutable, listImmutableRules } from "../retention/rules.ts";
import type { Sql } from "../sql.ts";
import type { Guard, ManifestPush, RequestContext } from "../types.ts";

const cacheMs = 2000;

export class ImmutableTagGuard implements Guard {
  readonly #sql: Sql;
  readonly #rules: Cached<readonly ImmutableRule[]>;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#rules = new Cached(cacheMs, () => listImmutableRules(sql), now);
  }

  async putManifest(_context: RequestContext, { repository, manifest, tags }: ManifestPush): Promise<void> {
    for (const tag of await this.#fixed(repository, tags)) {
      const [row] = await this.#sql.query(
        "SELECT digest FROM tag WHERE repository = $1 AND name = $2",
        repository,
        tag,
      );
      if (row !== undefined && row["digest"] !== manifest.digest) throw refused(repository, tag);
    }
  }

  async deleteManifest(_context: RequestContext, repository: string, reference: string): Promise<void> {
    const tags = isDigest(reference) ? await this.#tagsOf(repository, reference) : [reference];
    const [tag] = await this.#fixed(repository, tags);
    if (tag !== undefined) throw refused(repository, tag);
  }

  async #fixed(repository: string, tags: readonly string[]): Promise<readonly string[]> {
    const rules = await this.#rules.get();
    return tags.filter((tag) => isImmutable(rules, repository, tag));
  }

  async #tagsOf(repository: string, digest: string): Promise<readonly string[]> {
    const rows = await this.#sql.query(
      "SELECT name FROM tag WHERE repository = $1 AND digest = $2",
      repository,
      digest,
    );
    return rows.map((row) => String(row["name"]));
  }
}

/** docker prints "denied: " and the sentence, and does not try again; 409 says that it is the tag's state, not the caller. */
function refused(repository: string, tag: string): RegistryError {
  return new RegistryError("DENIED", `tag ${tag} of ${repository} is immutable`, { status: 409 });
}
