/**
 * The registry's records as the commands see them. They work on the database itself, beside a running server: SQLite and
 * PostgreSQL both keep several processes apart, it works while no server runs, and every instance sees a change within seconds.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { userInfo } from "node:os";
import { Accounts } from "../access/accounts.ts";
import { listSigningKeys, rotateSigningKey, type SigningKey } from "../access/signing-keys.ts";
import { createLogger } from "../../lib/index.ts";
import type { CollectRun } from "../collector.ts";
import { type CommandSettings, type Resolved, resolveSettings } from "../config/resolved.ts";
import { Metadata } from "../metadata.ts";
import { AuditLog } from "../observe/audit-log.ts";
import { noteScrub } from "../observe/upkeep.ts";
import type { Decision } from "../retention/plan.ts";
import { applyRetention, decideRetention } from "../retention/run.ts";
import { type ReadOnly, Settings } from "../settings.ts";
import { scrub, type ScrubReport } from "../scrub.ts";
import type { Sql } from "../sql.ts";
import { repositoriesMatching, type Usage, usageOf } from "../usage.ts";
import { DeliveryQueue } from "../webhooks/queue.ts";
import { Webhooks } from "../webhooks/webhooks.ts";
import { askControl } from "./control.ts";
import { openBlobs, openCollector, openSql } from "./stores.ts";

/** Commands print what they find. */
const quietLogger = createLogger("warn");

export class Admin implements AsyncDisposable {
  readonly settings: Resolved;
  readonly sql: Sql;
  readonly metadata: Metadata;
  readonly accounts: Accounts;
  readonly switches: Settings;
  readonly webhooks: Webhooks;
  readonly deliveries: DeliveryQueue;
  readonly #audit: AuditLog;

  constructor(settings: Resolved, metadata: Metadata) {
    const { sql } = metadata;
    this.settings = settings;
    this.sql = sql;
    this.metadata = metadata;
    this.accounts = new Accounts(sql);
    this.switches = new Settings(sql);
    this.webhooks = new Webhooks(sql);
    this.deliveries = new DeliveryQueue(sql);
    this.#audit = new AuditLog(this.auditPath, false);
  }

  get root(): string {
    return this.settings.text("root");
  }

  get auditPath(): string {
    return join(this.root, "audit.log");
  }

  /** What a command has done, for the audit log. */
  async note(action: string, what: string): Promise<void> {
    this.#audit.write({ who: userInfo().username, kind: "command", action, what, from: "", result: "ok" });
  }

  /** Keys that sign tokens, newest first. */
  signingKeys(): Promise<readonly SigningKey[]> {
    return listSigningKeys(this.sql);
  }

  /** @param revoke tokens of the old keys end at once @returns the new key's id */
  rotateKey(revoke: boolean): Promise<string> {
    return rotateSigningKey(this.sql, revoke, Date.now());
  }

  usage(pattern: string): Promise<Usage> {
    return usageOf(this.sql, pattern);
  }

  /** Repositories that match, each with what it holds. */
  async repositories(pattern: string): Promise<readonly (Usage & { readonly name: string })[]> {
    const names = await repositoriesMatching(this.sql, pattern);
    return Promise.all(names.map(async (name) => ({ name, ...(await usageOf(this.sql, name)) })));
  }

  /** @returns false when there is no such repository */
  async removeRepository(name: string): Promise<boolean> {
    return this.sql.transaction(async (tx) => {
      for (const table of ["tag", "manifest_reference", "manifest", "repository_blob"])
        await tx.query(`DELETE FROM ${table} WHERE repository = $1`, name);
      return (await tx.query("DELETE FROM repository WHERE name = $1 RETURNING name", name)).length > 0;
    });
  }

  planRetention(): Promise<readonly Decision[]> {
    return decideRetention(this.sql, Date.now());
  }

  /** @returns what it has decided, and done */
  async runRetention(): Promise<readonly Decision[]> {
    const now = Date.now();
    const decisions = await decideRetention(this.sql, now);
    await applyRetention(this.metadata, decisions, now);
    return decisions;
  }

  /** By the server when one runs here, which knows of the uploads under way; else by this process. */
  async collect(run: CollectRun): Promise<unknown> {
    const flags = Object.fromEntries(Object.entries(run).map(([name, value]) => [name, String(value)]));
    const report = await askControl(this.root, "collect", flags);
    if (report !== undefined) return report;
    const blobs = await openBlobs(this.settings);
    const collector = await openCollector({
      settings: this.settings,
      metadata: this.metadata,
      blobs,
      logger: quietLogger,
    });
    try {
      return await collector.run(run);
    } finally {
      await collector.close();
    }
  }

  async scrub(onProgress: (count: number) => void): Promise<ScrubReport> {
    const report = await scrub(await openBlobs(this.settings), quietLogger, onProgress);
    await noteScrub(this.sql, report, Date.now());
    return report;
  }

  async status(): Promise<Status> {
    const [users, robots, webhooks] = [
      await this.accounts.list("user"),
      await this.accounts.list("robot"),
      await this.webhooks.list(),
    ];
    const { waiting, dead } = await this.deliveries.counts();
    const { repositories, tags, manifests, blobs, bytes } = await this.usage("**");
    return {
      root: this.root,
      database: this.settings.optional("database") === undefined ? "SQLite" : "PostgreSQL",
      readOnly: await this.switches.readOnly(),
      users: users.length,
      robots: robots.length,
      repositories,
      tags,
      manifests,
      blobs,
      bytes,
      webhooks: webhooks.length,
      waiting,
      dead,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#audit.close();
    await this.sql.close();
  }
}

export interface Status extends Usage {
  readonly root: string;
  readonly database: string;
  readonly readOnly: ReadOnly | undefined;
  readonly users: number;
  readonly robots: number;
  readonly webhooks: number;
  /** Deliveries of webhooks that wait, and that were given up. */
  readonly waiting: number;
  readonly dead: number;
}

/** Opens the records of the registry that settings name. @throws {GantryError} */
export async function openAdmin(command: CommandSettings): Promise<Admin> {
  const settings = resolveSettings(command);
  mkdirSync(settings.text("root"), { recursive: true, mode: 0o700 });
  return new Admin(settings, await Metadata.open(await openSql(settings)));
}
