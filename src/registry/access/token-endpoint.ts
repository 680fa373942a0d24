/**
 * `/token`: Docker's token flow. GET with Basic (distribution, "Token Authentication Specification") and POST of an OAuth 2 form
 * (its "OAuth2" page), as docker and containerd send them.
 */
import { RegistryError } from "../errors.ts";
import type { Scope } from "../types.ts";
import type { Accounts } from "./accounts.ts";
import { basicOf, type Credentials, wrongLogin } from "./credentials.ts";
import type { RefreshTokens } from "./refresh-tokens.ts";
import { type Account, grant } from "./rights.ts";
import { parseScopes, printScope } from "./scope.ts";
import { tokenSeconds } from "./signing-keys.ts";
import type { Tokens } from "./tokens.ts";

const maxFormBytes = 64 << 10;

export interface TokenEndpointOptions {
  readonly accounts: Accounts;
  readonly credentials: Credentials;
  readonly refreshTokens: RefreshTokens;
  readonly tokens: Tokens;
  readonly service: string;
  readonly now?: () => number;
}

/** An answer to both kinds of request; `refresh_token` only where one was asked for. */
interface TokenAnswer {
  readonly access_token: string;
  readonly token?: string;
  readonly scope: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly refresh_token?: string;
}

export class TokenEndpoint {
  readonly #options: TokenEndpointOptions;

  constructor(options: TokenEndpointOptions) {
    this.#options = options;
  }

  async handle(request: Request, address: string): Promise<Response> {
    if (request.method === "GET") return this.#get(request, address);
    if (request.method === "POST") return this.#post(request, address);
    throw new RegistryError("UNSUPPORTED", "tokens are had by GET or POST", {
      headers: { Allow: "GET, POST" },
    });
  }

  async #get(request: Request, address: string): Promise<Response> {
    const query = new URL(request.url).searchParams;
    this.#checkService(query.get("service"));
    const header = request.headers.get("authorization");
    const basic = basicOf(header);
    // A header that is there but cannot be read is no anonymous request.
    if (header !== null && basic === undefined) throw wrongLogin();
    const account = basic === undefined ? undefined : await this.#options.credentials.verify(basic, address);
    const answer = await this.#issue(account, parseScopes(query.getAll("scope")));
    const offline = account !== undefined && query.get("offline_token") === "true";
    return json({ ...answer, token: answer.access_token, ...(await this.#refreshFor(account, offline)) });
  }

  async #post(request: Request, address: string): Promise<Response> {
    const form = await readForm(request);
    this.#checkService(form.get("service"));
    const account = await this.#accountOf(form, address);
    const answer = await this.#issue(account, parseScopes(form.getAll("scope")));
    if (form.get("grant_type") === "refresh_token")
      return json({ ...answer, refresh_token: form.get("refresh_token") ?? "" });
    return json({ ...answer, ...(await this.#refreshFor(account, form.get("access_type") === "offline")) });
  }

  async #accountOf(form: URLSearchParams, address: string): Promise<Account> {
    const { credentials } = this.#options;
    switch (form.get("grant_type")) {
      case "password":
        return credentials.verify(
          { name: form.get("username") ?? "", secret: form.get("password") ?? "" },
          address,
        );
      case "refresh_token":
        return credentials.refresh(form.get("refresh_token") ?? "", address);
      default:
        throw new RegistryError("UNSUPPORTED", "grant_type must be password or refresh_token", {
          status: 400,
        });
    }
  }

  /** A token for another service would be refused there; saying so here is kinder. */
  #checkService(service: string | null): void {
    if (service === null || service === "" || service === this.#options.service) return;
    throw new RegistryError("DENIED", `this is the token service of ${this.#options.service}`, {
      status: 400,
    });
  }

  async #issue(account: Account | undefined, wanted: readonly Scope[]): Promise<TokenAnswer> {
    const publicPatterns = await this.#options.accounts.publicPatterns();
    const access = wanted.flatMap((scope) => grant(account, publicPatterns, scope) ?? []);
    return {
      access_token: await this.#options.tokens.issue(account?.name ?? "", account?.epoch ?? 0, access),
      scope: access.map(printScope).join(" "),
      expires_in: tokenSeconds,
      issued_at: new Date((this.#options.now ?? Date.now)()).toISOString(),
    };
  }

  async #refreshFor(account: Account | undefined, wanted: boolean): Promise<{ refresh_token?: string }> {
    if (account === undefined || !wanted) return {};
    return { refresh_token: await this.#options.refreshTokens.issue(account) };
  }
}

async function readForm(request: Request): Promise<URLSearchParams> {
  const length = Number(request.headers.get("content-length") ?? "0");
  const type = request.headers.get("content-type") ?? "";
  if (!type.startsWith("application/x-www-form-urlencoded") || length > maxFormBytes)
    throw new RegistryError(
      "UNSUPPORTED",
      "the body must be a short form (application/x-www-form-urlencoded)",
      { status: 400 },
    );
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body ?? []) {
    bytes += part.length;
    if (bytes > maxFormBytes) throw new RegistryError("UNSUPPORTED", "the form is too long", { status: 413 });
    parts.push(part);
  }
  return new URLSearchParams(Buffer.concat(parts).toString("utf8"));
}

function json(value: object): Response {
  return Response.json(value, { headers: { "Cache-Control": "no-store", Pragma: "no-cache" } });
}
