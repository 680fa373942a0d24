/** Tags that stay what they are. */
import { isDigest } from "../../lib/index.ts";
import { Cached } from "../cached.ts";
import { RegistryError } from "../errors.ts";
import { type ImmutableRule, isImmutable, listImmutableRules } from "../retention/rules.ts";
import type { Sql } from "../sql.ts";
import type { CommitStep, Guard, ManifestPush, RequestContext } from "../types.ts";

const cacheMs = 2000;

export class ImmutableTagGuard implements Guard {
  readonly #sql: Sql;
  readonly #rules: Cached<readonly ImmutableRule[]>;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#rules = new Cached(cacheMs, () => listImmutableRules(sql), now);
  }

  /** Looked at before, and once more when nobody can come between. */
  async putManifest(
    _context: RequestContext,
    { repository, manifest, tags }: ManifestPush,
  ): Promise<CommitStep | undefined> {
    const fixed = await this.#fixed(repository, tags);
    if (fixed.length === 0) return undefined;
    const check = async (sql: Sql): Promise<void> => {
      for (const tag of fixed) {
        const [row] = await sql.query(
          "SELECT digest FROM tag WHERE repository = $1 AND name = $2",
          repository,
          tag,
        );
        if (row !== undefined && row["digest"] !== manifest.digest) throw refused(repository, tag);
      }
    };
    await check(this.#sql);
    return check;
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
