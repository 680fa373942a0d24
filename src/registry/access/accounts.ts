/** Accounts, their rights and what is public, in SQL. Looked up through a short cache, so that other processes' changes count soon. */
import { GantryError } from "../../lib/index.ts";
import type { Sql, SqlRow } from "../sql.ts";
import type { Action } from "../types.ts";
import { Cached } from "../cached.ts";
import { checkPattern } from "./pattern.ts";
import { type Account, allActions, type Right } from "./rights.ts";

/** How long a change of rights may take to count: about as long as a command takes to return. */
const cacheMs = 2000;
const cacheEntries = 4096;

export interface NewAccount {
  readonly name: string;
  readonly kind: Account["kind"];
  readonly admin: boolean;
  readonly secret: string;
  readonly expiresMs?: number | undefined;
}

export class Accounts {
  readonly #sql: Sql;
  readonly #now: () => number;
  readonly #cache = new Map<
    string,
    { readonly untilMs: number; readonly account: Promise<Account | undefined> }
  >();
  readonly #public: Cached<readonly string[]>;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#now = now;
    this.#public = new Cached(cacheMs, () => this.listPublic(), now);
  }

  /** The account as it was within the last two seconds. */
  find(name: string): Promise<Account | undefined> {
    const cached = this.#cache.get(name);
    if (cached !== undefined && this.#now() < cached.untilMs) return cached.account;
    const account = this.get(name);
    if (this.#cache.size >= cacheEntries) this.#cache.clear();
    this.#cache.set(name, { untilMs: this.#now() + cacheMs, account });
    account.catch(() => this.#cache.delete(name));
    return account;
  }

  /** Patterns of repositories that anybody may pull from, as of the last two seconds. */
  publicPatterns(): Promise<readonly string[]> {
    return this.#public.get();
  }

  async get(name: string): Promise<Account | undefined> {
    const [row] = await this.#sql.query("SELECT * FROM account WHERE name = $1", name);
    if (row === undefined) return undefined;
    return accountOf(row, await this.#rightsOf(name));
  }

  async list(kind: Account["kind"]): Promise<readonly Account[]> {
    const rows = await this.#sql.query("SELECT * FROM account WHERE kind = $1 ORDER BY name", kind);
    return Promise.all(rows.map(async (row) => accountOf(row, await this.#rightsOf(String(row["name"])))));
  }

  /** How many could log in. */
  async count(): Promise<number> {
    const [row] = await this.#sql.query("SELECT count(*) AS n FROM account");
    return Number(row?.["n"] ?? 0);
  }

  async #rightsOf(name: string): Promise<readonly Right[]> {
    const rows = await this.#sql.query(
      "SELECT pattern, actions FROM account_right WHERE account = $1 ORDER BY pattern",
      name,
    );
    return rows.map((row) => ({
      pattern: String(row["pattern"]),
      actions: actionsOf(String(row["actions"])),
    }));
  }

  /** @throws {GantryError} "conflict" when there is an account of that name */
  async add(account: NewAccount): Promise<void> {
    checkAccountName(account.name);
    const rows = await this.#sql.query(
      "INSERT INTO account VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT (name) DO NOTHING RETURNING name",
      account.name,
      account.kind,
      account.admin ? 1 : 0,
      account.secret,
      this.#now(),
      account.expiresMs ?? null,
      this.#now(),
    );
    if (rows.length === 0) throw new GantryError("conflict", `there is an account ${account.name} already`);
    this.#forget(account.name);
  }

  /** A new secret ends all tokens. */
  async setSecret(name: string, secret: string): Promise<void> {
    await this.#change(name, "secret = $2", secret);
  }

  async setDisabled(name: string, disabled: boolean): Promise<void> {
    await this.#change(name, "disabled = $2", disabled ? 1 : 0);
  }

  async setAdmin(name: string, admin: boolean): Promise<void> {
    await this.#change(name, "admin = $2", admin ? 1 : 0);
  }

  async #change(name: string, what: string, value: string | number): Promise<void> {
    await this.#sql.transaction(async (tx) => {
      const rows = await tx.query(
        `UPDATE account SET ${what}, epoch = epoch + 1 WHERE name = $1 RETURNING name`,
        name,
        value,
      );
      if (rows.length === 0) throw unknownAccount(name);
      await tx.query("DELETE FROM refresh_token WHERE account = $1", name);
    });
    this.#forget(name);
  }

  async remove(name: string): Promise<void> {
    await this.#sql.transaction(async (tx) => {
      const rows = await tx.query("DELETE FROM account WHERE name = $1 RETURNING name", name);
      if (rows.length === 0) throw unknownAccount(name);
      await tx.query("DELETE FROM account_right WHERE account = $1", name);
      await tx.query("DELETE FROM refresh_token WHERE account = $1", name);
    });
    this.#forget(name);
  }

  /** Adds to what the account may do with repositories of a pattern. */
  async grant(name: string, pattern: string, actions: readonly Action[]): Promise<void> {
    checkPattern(pattern, "repositories");
    await this.#sql.transaction(async (tx) => {
      if ((await tx.query("SELECT 1 AS one FROM account WHERE name = $1", name)).length === 0)
        throw unknownAccount(name);
      const [row] = await tx.query(
        "SELECT actions FROM account_right WHERE account = $1 AND pattern = $2",
        name,
        pattern,
      );
      const all = new Set([...actionsOf(String(row?.["actions"] ?? "")), ...actions]);
      await tx.query(
        `INSERT INTO account_right VALUES ($1, $2, $3)
         ON CONFLICT (account, pattern) DO UPDATE SET actions = excluded.actions`,
        name,
        pattern,
        allActions.filter((action) => all.has(action)).join(","),
      );
    });
    this.#forget(name);
  }

  /** @throws {GantryError} "not-found" when there was no such right */
  async revoke(name: string, pattern: string): Promise<void> {
    const rows = await this.#sql.query(
      "DELETE FROM account_right WHERE account = $1 AND pattern = $2 RETURNING pattern",
      name,
      pattern,
    );
    if (rows.length === 0)
      throw new GantryError("not-found", `account ${name} has no right for ${JSON.stringify(pattern)}`);
    this.#forget(name);
  }

  async listPublic(): Promise<readonly string[]> {
    const rows = await this.#sql.query("SELECT pattern FROM public_pattern ORDER BY pattern");
    return rows.map((row) => String(row["pattern"]));
  }

  async addPublic(pattern: string): Promise<void> {
    checkPattern(pattern, "repositories");
    await this.#sql.query("INSERT INTO public_pattern VALUES ($1) ON CONFLICT (pattern) DO NOTHING", pattern);
    this.#public.forget();
  }

  async removePublic(pattern: string): Promise<void> {
    const rows = await this.#sql.query(
      "DELETE FROM public_pattern WHERE pattern = $1 RETURNING pattern",
      pattern,
    );
    if (rows.length === 0) throw new GantryError("not-found", `${JSON.stringify(pattern)} is not public`);
    this.#public.forget();
  }

  #forget(name: string): void {
    this.#cache.delete(name);
  }
}

const accountName = /^[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?$/;

/** @throws {GantryError} "invalid" */
function checkAccountName(name: string): void {
  if (accountName.test(name)) return;
  throw new GantryError("invalid", `${JSON.stringify(name.slice(0, 80))} is no name of an account`, {
    hint: "1 to 64 of a-z, 0-9, and . _ + - between them",
  });
}

const unknownAccount = (name: string): GantryError =>
  new GantryError("not-found", `there is no account ${JSON.stringify(name.slice(0, 80))}`);

function accountOf(row: SqlRow, rights: readonly Right[]): Account {
  const expires = row["expires_ms"];
  return {
    name: String(row["name"]),
    kind: row["kind"] === "robot" ? "robot" : "user",
    admin: Number(row["admin"]) === 1,
    secret: String(row["secret"]),
    createdMs: Number(row["created_ms"]),
    expiresMs: expires === null || expires === undefined ? undefined : Number(expires),
    disabled: Number(row["disabled"]) === 1,
    epoch: Number(row["epoch"]),
    rights,
  };
}

function actionsOf(text: string): readonly Action[] {
  const words = text.split(",");
  return allActions.filter((action) => words.includes(action));
}
