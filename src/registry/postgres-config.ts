/** Where PostgreSQL is: a URL as libpq knows it, with secrets in it or in files beside it. */
import { readFileSync } from "node:fs";
import { GantryError, messageOf } from "../lib/index.ts";

export interface PostgresConfig {
  /**
   * `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE?sslmode=disable|require|verify-ca|verify-full`, with `sslrootcert`,
   * `sslcert` and `sslkey` (PEM files), `host=/DIRECTORY` for a unix socket, `passwordfile=FILE`.
   */
  readonly url: string;
  /** Connections at most. Default 8. */
  readonly connections?: number;
  /** A statement that takes longer is ended by the server. Default 30 s. */
  readonly statementTimeoutMs?: number;
  /** How long a lost server is waited for before a request fails. Default 20 s. */
  readonly reconnectMs?: number;
}

type Tls = NonNullable<Bun.SQL.PostgresOrMySQLOptions["tls"]>;

/** What `Bun.SQL` is opened with. @throws {GantryError} "invalid" */
export function postgresOptions(config: PostgresConfig): Bun.SQL.PostgresOrMySQLOptions {
  const url = parsed(config.url);
  const setting = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  const passwordFile = setting("passwordfile");
  const password =
    passwordFile === undefined ? decodeURIComponent(url.password) : readText(passwordFile).trimEnd();
  const directory = setting("host");
  const port = Number(url.port === "" ? (setting("port") ?? 5432) : url.port);
  const tls = tlsOf(setting);
  return {
    adapter: "postgres",
    ...(directory?.startsWith("/") === true
      ? { path: `${directory}/.s.PGSQL.${port}` }
      : { hostname: url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1", port }),
    username: decodeURIComponent(url.username) || "postgres",
    password,
    database: decodeURIComponent(url.pathname.slice(1)) || "postgres",
    ...(tls === undefined ? {} : { tls }),
    max: config.connections ?? 8,
    connectionTimeout: 5,
    idleTimeout: 300,
    bigint: true,
    connection: {
      application_name: "gantry-registry",
      statement_timeout: config.statementTimeoutMs ?? 30_000,
      lock_timeout: 15_000,
      idle_in_transaction_session_timeout: 60_000,
    },
  };
}

/** The server for messages, without the password. */
export function postgresName(config: PostgresConfig): string {
  const url = parsed(config.url);
  return `postgres://${url.host || (url.searchParams.get("host") ?? "localhost")}${url.pathname}`;
}

function parsed(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "postgres:" && url?.protocol !== "postgresql:")
    throw new GantryError("invalid", "the address of the database is no postgres:// URL", {
      hint: "write it as postgres://USER@HOST:5432/DATABASE",
    });
  return url;
}

function tlsOf(setting: (name: string) => string | undefined): Tls | undefined {
  const mode = setting("sslmode") ?? "disable";
  const files = {
    ...file("ca", setting("sslrootcert")),
    ...file("cert", setting("sslcert")),
    ...file("key", setting("sslkey")),
  };
  switch (mode) {
    case "disable":
      return undefined;
    case "require":
      return { ...files, rejectUnauthorized: setting("sslrootcert") !== undefined };
    case "verify-ca":
      return { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { ...files, rejectUnauthorized: true };
    default:
      throw new GantryError("invalid", `sslmode ${JSON.stringify(mode)} is not known`, {
        hint: "use disable, require, verify-ca or verify-full",
      });
  }
}

function file<K extends string>(key: K, path: string | undefined): { readonly [P in K]?: string } {
  return path === undefined ? {} : ({ [key]: readText(path) } as { readonly [P in K]?: string });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new GantryError("invalid", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
