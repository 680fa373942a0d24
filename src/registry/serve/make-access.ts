/** Accounts, tokens and their checks, put together. */
import { AccountAccess } from "../access/access-control.ts";
import { Accounts } from "../access/accounts.ts";
import { Credentials } from "../access/credentials.ts";
import { PasswordCheck } from "../access/passwords.ts";
import { RefreshTokens } from "../access/refresh-tokens.ts";
import { LoginThrottle } from "../access/throttle.ts";
import { TokenEndpoint } from "../access/token-endpoint.ts";
import { Tokens } from "../access/tokens.ts";
import type { Resolved } from "../config/resolved.ts";
import { GantryError } from "../../lib/index.ts";
import type { RateLimitGuard } from "../guards/rate-limits.ts";
import type { AuditLog } from "../observe/audit-log.ts";
import type { Sql } from "../sql.ts";
import type { AccessControl } from "../types.ts";
import type { Peers } from "./peers.ts";

export interface AccessParts {
  readonly sql: Sql;
  readonly settings: Resolved;
  readonly audit: AuditLog;
  readonly peers: Peers;
  readonly limits: RateLimitGuard;
}

/** True when accounts decide; false: whoever reaches the registry may do all. @throws {GantryError} "invalid" */
export async function accountsDecide(sql: Sql, settings: Resolved): Promise<boolean> {
  const mode = settings.text("auth");
  if (settings.bool("anonymous-push")) {
    if (mode === "accounts")
      throw new GantryError(
        "invalid",
        "anonymous-push lets everybody push: it goes with auth none or auto only",
      );
    return false;
  }
  return mode === "accounts" || (mode === "auto" && (await new Accounts(sql).count()) > 0);
}

export async function makeAccess({
  sql,
  settings,
  audit,
  peers,
  limits,
}: AccessParts): Promise<AccessControl> {
  const service = settings.text("service");
  const accounts = new Accounts(sql);
  const refreshTokens = new RefreshTokens(sql);
  const tokens = await Tokens.open(sql, service);
  const credentials = new Credentials({
    accounts,
    refreshTokens,
    passwords: new PasswordCheck(),
    throttle: new LoginThrottle(),
    onLogin: (name, from, result) =>
      audit.write({ who: name.slice(0, 64), kind: "login", action: "login", what: "", from, result }),
  });
  return new AccountAccess({
    accounts,
    credentials,
    tokens,
    endpoint: new TokenEndpoint({ accounts, credentials, refreshTokens, tokens, service }),
    service,
    externalUrl: settings.text("external-url").replace(/\/$/, ""),
    addressOf: peers.addressOf,
    beforeToken: (address) => limits.login(address),
    onDenied: (who, what, from) =>
      audit.write({ who, kind: "account", action: "denied", what, from, result: "denied" }),
  });
}
