/** Tables of accounts, rules and deliveries. Never change a step that has landed. */
import type { Migration } from "../migrate.ts";

export const adminTables: Migration = [
  [
    `CREATE TABLE account (name TEXT PRIMARY KEY, kind TEXT NOT NULL, admin BIGINT NOT NULL, secret TEXT NOT NULL,
      created_ms BIGINT NOT NULL, expires_ms BIGINT, disabled BIGINT NOT NULL, epoch BIGINT NOT NULL)`,
    `CREATE TABLE account_right (account TEXT NOT NULL, pattern TEXT NOT NULL, actions TEXT NOT NULL,
      PRIMARY KEY (account, pattern))`,
    "CREATE TABLE public_pattern (pattern TEXT PRIMARY KEY)",
    `CREATE TABLE refresh_token (hash TEXT PRIMARY KEY, account TEXT NOT NULL, created_ms BIGINT NOT NULL,
      expires_ms BIGINT NOT NULL)`,
    "CREATE INDEX refresh_token_account ON refresh_token (account, created_ms)",
    "CREATE TABLE signing_key (id TEXT PRIMARY KEY, pkcs8 TEXT NOT NULL, created_ms BIGINT NOT NULL)",
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    `CREATE TABLE quota (pattern TEXT PRIMARY KEY, max_bytes BIGINT, max_manifests BIGINT, max_tags BIGINT)`,
    `CREATE TABLE immutable_tag (repositories TEXT NOT NULL, tags TEXT NOT NULL, PRIMARY KEY (repositories, tags))`,
    "CREATE TABLE retention_rule (name TEXT PRIMARY KEY, rule TEXT NOT NULL)",
    `CREATE TABLE webhook (name TEXT PRIMARY KEY, url TEXT NOT NULL, secret TEXT NOT NULL, actions TEXT NOT NULL,
      repositories TEXT NOT NULL, disabled BIGINT NOT NULL, created_ms BIGINT NOT NULL)`,
    `CREATE TABLE webhook_delivery (id TEXT PRIMARY KEY, webhook TEXT NOT NULL, body TEXT NOT NULL,
      attempts BIGINT NOT NULL, next_ms BIGINT NOT NULL, state TEXT NOT NULL, result TEXT NOT NULL,
      created_ms BIGINT NOT NULL)`,
    "CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook, state, next_ms)",
  ],
];
