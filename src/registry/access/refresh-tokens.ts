/** Refresh tokens ("identity tokens" in docker): long random texts, of which the database keeps only a hash. */
import { randomBytes } from "node:crypto";
import type { Sql } from "../sql.ts";
import { hashSecret } from "./passwords.ts";
import type { Account } from "./rights.ts";

const lifeMs = 90 * 24 * 3600_000;
/** Each login makes one, and no client gives them back. */
const perAccount = 100;

export class RefreshTokens {
  readonly #sql: Sql;
  readonly #now: () => number;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#now = now;
  }

  async issue(account: Account): Promise<string> {
    const token = `gantry_refresh_${randomBytes(32).toString("base64url")}`;
    const now = this.#now();
    const expires = Math.min(now + lifeMs, account.expiresMs ?? Infinity);
    await this.#sql.transaction(async (tx) => {
      await tx.query(
        "INSERT INTO refresh_token VALUES ($1, $2, $3, $4)",
        hashSecret(token),
        account.name,
        now,
        expires,
      );
      await tx.query(
        `DELETE FROM refresh_token WHERE account = $1 AND (expires_ms <= $2 OR hash NOT IN
          (SELECT hash FROM refresh_token WHERE account = $3 ORDER BY created_ms DESC, hash LIMIT ${perAccount}))`,
        account.name,
        now,
        account.name,
      );
    });
    return token;
  }

  /** The name of the account that the token stands for. Asked of the database each time: a revoked one is dead at once. */
  async accountOf(token: string): Promise<string | undefined> {
    const [row] = await this.#sql.query(
      "SELECT account FROM refresh_token WHERE hash = $1 AND expires_ms > $2",
      hashSecret(token.slice(0, 256)),
      this.#now(),
    );
    return row === undefined ? undefined : String(row["account"]);
  }
}
