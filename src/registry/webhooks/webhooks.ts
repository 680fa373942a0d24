/** Endpoints that are told what happens, in SQL. */
import { GantryError } from "../../lib/index.ts";
import { checkPattern, matchesPattern } from "../access/pattern.ts";
import { Cached } from "../cached.ts";
import type { Sql, SqlRow } from "../sql.ts";
import type { RegistryEvent } from "../types.ts";

const eventActions = ["push", "pull", "delete", "mount"] as const;
type EventAction = (typeof eventActions)[number];

export interface Webhook {
  readonly name: string;
  readonly url: string;
  /** Of the signature; empty: none is sent. */
  readonly secret: string;
  readonly actions: readonly EventAction[];
  /** Pattern of the repositories it hears of. */
  readonly repositories: string;
  readonly disabled: boolean;
}

const cacheMs = 2000;

export class Webhooks {
  readonly #sql: Sql;
  readonly #now: () => number;
  readonly #cached: Cached<readonly Webhook[]>;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#now = now;
    this.#cached = new Cached(cacheMs, () => this.list(), now);
  }

  /** As of the last two seconds. */
  current(): Promise<readonly Webhook[]> {
    return this.#cached.get();
  }

  async list(): Promise<readonly Webhook[]> {
    return (await this.#sql.query("SELECT * FROM webhook ORDER BY name")).map(webhookOf);
  }

  /** @throws {GantryError} "not-found" */
  async get(name: string): Promise<Webhook> {
    const [row] = await this.#sql.query("SELECT * FROM webhook WHERE name = $1", name);
    if (row === undefined) throw new GantryError("not-found", `there is no webhook ${JSON.stringify(name)}`);
    return webhookOf(row);
  }

  /** @throws {GantryError} "invalid", "conflict" */
  async add(
    webhook: Omit<Webhook, "disabled" | "actions"> & { readonly actions: readonly string[] },
  ): Promise<void> {
    if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(webhook.name))
      throw new GantryError("invalid", `${JSON.stringify(webhook.name)} is no name of a webhook`);
    checkPattern(webhook.repositories, "repositories");
    checkUrl(webhook.url);
    for (const action of webhook.actions) {
      if (!eventActions.some((known) => known === action))
        throw new GantryError("invalid", `there are no events ${JSON.stringify(action)}`, {
          hint: `there are: ${eventActions.join(", ")}`,
        });
    }
    const rows = await this.#sql.query(
      "INSERT INTO webhook VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT (name) DO NOTHING RETURNING name",
      webhook.name,
      webhook.url,
      webhook.secret,
      webhook.actions.join(","),
      webhook.repositories,
      this.#now(),
    );
    if (rows.length === 0) throw new GantryError("conflict", `there is a webhook ${webhook.name} already`);
    this.#cached.forget();
  }

  /** Its waiting deliveries go with it. */
  async remove(name: string): Promise<void> {
    await this.#sql.transaction(async (tx) => {
      const rows = await tx.query("DELETE FROM webhook WHERE name = $1 RETURNING name", name);
      if (rows.length === 0)
        throw new GantryError("not-found", `there is no webhook ${JSON.stringify(name)}`);
      await tx.query("DELETE FROM webhook_delivery WHERE webhook = $1", name);
    });
    this.#cached.forget();
  }
}

/** True when a webhook is to be told of an event. */
export function hears(webhook: Webhook, action: RegistryEvent["action"], repository: string): boolean {
  return (
    !webhook.disabled && webhook.actions.includes(action) && matchesPattern(webhook.repositories, repository)
  );
}

/** @throws {GantryError} "invalid" for what is no address to post to */
function checkUrl(text: string): void {
  const url = URL.parse(text);
  if (
    url === null ||
    !["http:", "https:"].includes(url.protocol) ||
    url.username !== "" ||
    url.password !== ""
  )
    throw new GantryError("invalid", `${JSON.stringify(text.slice(0, 200))} is no address for a webhook`, {
      hint: "http:// or https://, without a name and password in it",
    });
}

function webhookOf(row: SqlRow): Webhook {
  const words = String(row["actions"]).split(",");
  return {
    name: String(row["name"]),
    url: String(row["url"]),
    secret: String(row["secret"]),
    actions: eventActions.filter((action) => words.includes(action)),
    repositories: String(row["repositories"]),
    disabled: Number(row["disabled"]) === 1,
  };
}
