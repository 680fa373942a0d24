/** Decides who may do what, from a bearer token, from Basic, or for nobody in particular. */
import { RegistryError } from "../errors.ts";
import type { AccessControl, Identity, Scope } from "../types.ts";
import type { Accounts } from "./accounts.ts";
import { basicOf, type Credentials, wrongLogin } from "./credentials.ts";
import { originOf } from "./origin.ts";
import { type Account, covers, grant, isUsable, nobody } from "./rights.ts";
import { parseScopes, printScope } from "./scope.ts";
import type { TokenEndpoint } from "./token-endpoint.ts";
import type { TokenClaims, Tokens } from "./tokens.ts";

export interface AccountAccessOptions {
  readonly accounts: Accounts;
  readonly credentials: Credentials;
  readonly tokens: Tokens;
  readonly endpoint: TokenEndpoint;
  readonly service: string;
  /** Where clients find us: `https://registry.example`; empty: as they say themselves. */
  readonly externalUrl: string;
  /** Of the client of a request. */
  readonly addressOf: (request: Request) => string;
  /** Told to the audit log: who was refused what, from where. */
  readonly onDenied?: ((name: string, what: string, address: string) => void) | undefined;
  /** Asked before a token is made: may refuse by throwing. */
  readonly beforeToken?: ((address: string) => void) | undefined;
  readonly now?: () => number;
}

/** Who asks, and what it is known to hold. */
interface Caller {
  readonly account: Account | undefined;
  /** Of a bearer token; undefined: the account's own rights count. */
  readonly token: TokenClaims | undefined;
  /** Something in the request said who asks. */
  readonly presented: boolean;
}

export class AccountAccess implements AccessControl {
  readonly #options: AccountAccessOptions;
  readonly #now: () => number;

  constructor(options: AccountAccessOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async authorize(request: Request, scopes: readonly Scope[]): Promise<Identity> {
    const caller = await this.#caller(request, scopes);
    const publicPatterns = await this.#options.accounts.publicPatterns();
    const missing = scopes.filter((scope) => !this.#holds(caller, publicPatterns, scope));
    // The ping of /v2/ asks for nothing, and must tell a client that it may log in.
    if (missing.length === 0 && (scopes.length > 0 || caller.presented)) return identityOf(caller.account);
    const couldHave = missing.every((scope) => isWhole(grant(caller.account, publicPatterns, scope), scope));
    // An answer to HEAD has no body to say it in: there the challenge's own word makes clients say "denied".
    if (caller.account !== undefined && !couldHave && request.method !== "HEAD") {
      const lacking = missing.map((scope) => lackOf(grant(caller.account, publicPatterns, scope), scope));
      throw this.#denied(request, caller.account.name, lacking);
    }
    throw this.#challenge(request, scopes, caller.presented ? "insufficient_scope" : undefined);
  }

  async mayAlso(request: Request, scope: Scope): Promise<boolean> {
    try {
      const caller = await this.#caller(request, [scope]);
      return this.#holds(caller, await this.#options.accounts.publicPatterns(), scope);
    } catch (error) {
      if (error instanceof RegistryError) return false;
      throw error;
    }
  }

  async handle(request: Request): Promise<Response | undefined> {
    const { pathname } = new URL(request.url);
    if (pathname !== "/token") return undefined;
    const address = this.#options.addressOf(request);
    this.#options.beforeToken?.(address);
    return this.#options.endpoint.handle(request, address);
  }

  #holds(caller: Caller, publicPatterns: readonly string[], scope: Scope): boolean {
    if (caller.token !== undefined && covers(caller.token.access, scope)) return true;
    // What nobody needs a token for needs none here either.
    const own = caller.token === undefined ? caller.account : undefined;
    return isWhole(grant(own, publicPatterns, scope), scope);
  }

  async #caller(request: Request, scopes: readonly Scope[]): Promise<Caller> {
    const header = request.headers.get("authorization");
    if (header === null || header === "") return { account: undefined, token: undefined, presented: false };
    const bearer = /^bearer ([^\s]+)$/i.exec(header.trim())?.[1];
    if (bearer !== undefined) return this.#bearer(request, scopes, bearer);
    const basic = basicOf(header);
    if (basic === undefined) throw this.#challenge(request, scopes, "invalid_token");
    try {
      const account = await this.#options.credentials.verify(basic, this.#options.addressOf(request));
      return { account, token: undefined, presented: true };
    } catch (error) {
      if (error instanceof RegistryError && error.status === 401)
        throw this.#challenge(request, scopes, undefined, wrongLogin().message);
      throw error;
    }
  }

  async #bearer(request: Request, scopes: readonly Scope[], bearer: string): Promise<Caller> {
    const token = await this.#options.tokens.verify(bearer);
    if (token === undefined) throw this.#challenge(request, scopes, "invalid_token");
    if (token.subject === "") return { account: undefined, token, presented: true };
    const account = await this.#options.accounts.find(token.subject);
    // Disabled, removed, given a new password since: its tokens end with it, not with the hour.
    if (account === undefined || account.epoch !== token.epoch || !isUsable(account, this.#now()))
      throw this.#challenge(request, scopes, "invalid_token");
    return { account, token, presented: true };
  }

  #denied(request: Request, name: string, missing: readonly Scope[]): RegistryError {
    const what = missing
      .map(({ type, name: repository, actions }) =>
        type === "registry" ? "list all repositories" : `${actions.join(" and ")} ${repository}`,
      )
      .join(", ");
    this.#options.onDenied?.(name, what, this.#options.addressOf(request));
    return new RegistryError("DENIED", `requested access to the resource is denied: ${name} may not ${what}`);
  }

  #challenge(
    request: Request,
    scopes: readonly Scope[],
    error?: "invalid_token" | "insufficient_scope",
    message = "authentication required",
  ): RegistryError {
    const wanted = [...scopes, ...mountSource(request)];
    const parts = [
      `realm="${originOf(request, this.#options.externalUrl)}/token"`,
      `service="${this.#options.service}"`,
      ...(wanted.length === 0 ? [] : [`scope="${wanted.map(printScope).join(" ")}"`]),
      ...(error === undefined ? [] : [`error="${error}"`]),
    ];
    const detail = scopes.map(({ type, name, actions }) => ({
      Type: type,
      Name: name,
      Action: actions.join(","),
    }));
    return new RegistryError("UNAUTHORIZED", message, {
      headers: { "WWW-Authenticate": `Bearer ${parts.join(",")}` },
      ...(detail.length === 0 ? {} : { detail }),
    });
  }
}

function isWhole(granted: Scope | undefined, wanted: Scope): boolean {
  return granted !== undefined && covers([granted], wanted);
}

/** What a cross-repository mount reads from: a token that holds that, too, spares the client the upload. */
function mountSource({ method, url }: Request): readonly Scope[] {
  const from = method === "POST" && url.includes("from=") ? new URL(url).searchParams.get("from") : null;
  return from === null ? [] : parseScopes([`repository:${from}:pull`]);
}

/** The part of a scope that is not granted. */
function lackOf(granted: Scope | undefined, wanted: Scope): Scope {
  return {
    ...wanted,
    actions: wanted.actions.filter((action) => granted?.actions.includes(action) !== true),
  };
}

function identityOf(account: Account | undefined): Identity {
  return account === undefined ? nobody : { name: account.name, kind: account.kind };
}
