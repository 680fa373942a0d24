/** Who stands behind a name and a secret: throttled, cached, and no quicker for names that do not exist. */
import { RegistryError } from "../errors.ts";
import type { Accounts } from "./accounts.ts";
import { maxSecretChars, type PasswordCheck } from "./passwords.ts";
import type { RefreshTokens } from "./refresh-tokens.ts";
import { type Account, isUsable } from "./rights.ts";
import type { LoginThrottle } from "./throttle.ts";

export interface BasicCredentials {
  readonly name: string;
  readonly secret: string;
}

/** Told to the audit log. */
export type LoginSeen = (name: string, address: string, result: "ok" | "refused") => void;

export interface CredentialsOptions {
  readonly accounts: Accounts;
  readonly passwords: PasswordCheck;
  readonly refreshTokens: RefreshTokens;
  readonly throttle: LoginThrottle;
  readonly onLogin?: LoginSeen | undefined;
  readonly now?: () => number;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #now: () => number;

  constructor(options: CredentialsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * @throws {RegistryError} "UNAUTHORIZED", the same for a wrong name, a wrong secret and an account that may not be used;
   *   "TOOMANYREQUESTS" after many failures
   */
  async verify({ name, secret }: BasicCredentials, address: string): Promise<Account> {
    const { accounts, passwords, throttle, onLogin } = this.#options;
    const account = name.length <= 64 ? await accounts.find(name) : undefined;
    const usable = account !== undefined && isUsable(account, this.#now()) ? account : undefined;
    if (usable !== undefined && passwords.knows(usable.secret, secret)) return usable;
    throttle.check(name, address);
    if (usable === undefined || !(await passwords.verify(usable.secret, secret))) {
      if (usable === undefined) await passwords.verify(undefined, secret);
      throttle.failed(name, address);
      onLogin?.(name, address, "refused");
      throw wrongLogin();
    }
    throttle.succeeded(name, address);
    onLogin?.(name, address, "ok");
    return usable;
  }

  /** The account of a refresh token. @throws {RegistryError} as `verify` */
  async refresh(token: string, address: string): Promise<Account> {
    const { accounts, refreshTokens, throttle, onLogin } = this.#options;
    throttle.check("", address);
    const name = await refreshTokens.accountOf(token);
    const account = name === undefined ? undefined : await accounts.get(name);
    if (account !== undefined && isUsable(account, this.#now())) return account;
    throttle.failed("", address);
    onLogin?.(name ?? "", address, "refused");
    throw wrongLogin();
  }
}

export const wrongLogin = (): RegistryError =>
  new RegistryError("UNAUTHORIZED", "authentication required: unknown account or wrong secret");

/** What `Authorization: Basic` says; undefined when the header is another or none. */
export function basicOf(header: string | null): BasicCredentials | undefined {
  const coded = /^basic ([A-Za-z0-9+/=_-]+)$/i.exec(header?.trim() ?? "")?.[1];
  if (coded === undefined || coded.length > 4 * maxSecretChars) return undefined;
  const text = Buffer.from(coded, "base64").toString("utf8");
  const at = text.indexOf(":");
  return at < 0 ? undefined : { name: text.slice(0, at), secret: text.slice(at + 1) };
}
