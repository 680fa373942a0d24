/**
 * Proving who we are to a registry: basic, and Docker's token flow (distribution, spec/auth: GET with basic credentials, POST
 * with a refresh token). Tokens are kept for as long as they live, per rights they were given for.
 */
import { GantryError } from "../lib/index.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { isLoopback } from "./proxy.ts";
import { printable } from "./printable.ts";
import { registryError } from "./registry-error.ts";
import type { HttpAnswer, Transport } from "./transport.ts";

/** Docker's X-Registry-Auth. */
export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  /** base64 of `user:password`, instead of both. */
  readonly auth?: string;
  /** A refresh token. */
  readonly identitytoken?: string;
  /** A token to be shown as it is. */
  readonly registrytoken?: string;
  readonly serveraddress?: string;
}

interface Token {
  readonly value: string;
  readonly untilMs: number;
}

/** As the flow has it: a token that does not say lives a minute. */
const defaultLifeSeconds = 60;
const maxTokenBytes = 1 << 20;
const clientId = "gantry";
/** Repositories that a registry is asked for in one session are few; a mirror's are many. */
const maxTokens = 1_000;
/** A token that ends while the request travels is of no use. */
const marginMs = 5_000;

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export function credentialsOf(auth: AuthConfig): Credentials | undefined {
  if (auth.username !== undefined && auth.username !== "")
    return { username: auth.username, password: auth.password ?? "" };
  if (auth.auth === undefined || auth.auth === "") return undefined;
  const text = Buffer.from(auth.auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

export interface AuthenticatorOptions {
  readonly transport: Transport;
  readonly auth: AuthConfig;
  /** Realms without TLS are trusted. */
  readonly insecure: boolean;
  readonly now?: () => number;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens = new Map<string, Token>();
  /** Requests beside each other ask for one token, not for one each. */
  readonly #pending = new Map<string, Promise<string>>();
  /** The challenge that this registry has put. */
  #challenge: Challenge | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** The Authorization header, as far as it is known how this registry wants it. */
  async header(scopes: readonly string[], signal: AbortSignal | undefined): Promise<string | undefined> {
    const { auth } = this.#options;
    if (auth.registrytoken !== undefined && auth.registrytoken !== "") return `Bearer ${auth.registrytoken}`;
    const challenge = this.#challenge;
    if (challenge?.scheme === "basic") return basicHeader(auth);
    const known = this.#known(scopes);
    if (known !== undefined) return known;
    // An old token is replaced before a body is sent in vain.
    if (challenge === undefined || scopes.length === 0) return undefined;
    return `Bearer ${await this.#token(challenge, scopes, keyOf(scopes), signal)}`;
  }

  /**
   * Answers a 401: the header to try with now; undefined: nothing else can be tried.
   * @param tried the header that was refused
   */
  async answer(
    refused: HttpAnswer,
    tried: string | undefined,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(refused.headers.get("www-authenticate") ?? "");
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"),
    );
    const basic = challenges.find(({ scheme }) => scheme === "basic");
    this.#challenge = bearer ?? basic;
    if (this.#options.auth.registrytoken) return undefined;
    if (bearer !== undefined) {
      const wanted = scopesOf(bearer, scopes);
      // A request beside this one may have got a token since.
      const known = this.#known(scopes);
      if (known !== undefined && known !== tried) return known;
      this.#tokens.delete(keyOf(scopes));
      const header = `Bearer ${await this.#token(bearer, wanted, keyOf(scopes), signal)}`;
      return header === tried ? undefined : header;
    }
    if (basic === undefined) return undefined;
    const header = basicHeader(this.#options.auth);
    return header === tried ? undefined : header;
  }

  /** A refresh token for the credentials, where the registry gives any: what `login` stores instead of a password. */
  async identityToken(challengeOf: HttpAnswer, signal?: AbortSignal): Promise<string | undefined> {
    const challenges = parseChallenges(challengeOf.headers.get("www-authenticate") ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer === undefined) return undefined;
    const url = this.#realm(bearer, []);
    url.searchParams.set("offline_token", "true");
    url.searchParams.set("client_id", clientId);
    const body = await this.#askToken(url, signal);
    return typeof body["refresh_token"] === "string" ? body["refresh_token"] : undefined;
  }

  /** The header of a token that is still good. */
  #known(scopes: readonly string[]): string | undefined {
    const token = this.#tokens.get(keyOf(scopes));
    return token !== undefined && token.untilMs > this.#now() ? `Bearer ${token.value}` : undefined;
  }

  async #token(
    challenge: Challenge,
    scopes: readonly string[],
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const pending = this.#pending.get(key) ?? this.#fetchToken(challenge, scopes, key, signal);
    this.#pending.set(key, pending);
    try {
      return await pending;
    } finally {
      this.#pending.delete(key);
    }
  }

  async #fetchToken(
    challenge: Challenge,
    scopes: readonly string[],
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { identitytoken } = this.#options.auth;
    const body =
      identitytoken === undefined || identitytoken === ""
        ? await this.#askToken(this.#realm(challenge, scopes), signal)
        : await this.#refresh(challenge, scopes, identitytoken, signal);
    const value = body["token"] ?? body["access_token"];
    if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value))
      throw new GantryError("unavailable", "the registry's token server answered without a token");
    const life = Number(body["expires_in"] ?? defaultLifeSeconds);
    const seconds = Number.isFinite(life) && life > 0 ? life : defaultLifeSeconds;
    if (this.#tokens.size >= maxTokens) this.#tokens.clear();
    this.#tokens.set(key, { value, untilMs: this.#now() + seconds * 1000 - marginMs });
    return value;
  }

  async #askToken(url: URL, signal: AbortSignal | undefined): Promise<Record<string, unknown>> {
    const header = basicHeader(this.#options.auth);
    const account = credentialsOf(this.#options.auth)?.username;
    if (account !== undefined) url.searchParams.set("account", account);
    const headers = header === undefined ? {} : { Authorization: header };
    return this.#read(await this.#options.transport.send({ method: "GET", url, headers, signal }));
  }

  async #refresh(
    challenge: Challenge,
    scopes: readonly string[],
    token: string,
    signal: AbortSignal | undefined,
  ): Promise<Record<string, unknown>> {
    const url = this.#realm(challenge, []);
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: token,
      service: challenge.parameters.get("service") ?? "",
      client_id: clientId,
      scope: scopes.join(" "),
    });
    url.search = "";
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    const body = form.toString();
    return this.#read(await this.#options.transport.send({ method: "POST", url, headers, body, signal }));
  }

  async #read(answer: HttpAnswer): Promise<Record<string, unknown>> {
    if (answer.status !== 200) throw await registryError(answer, `get a token from ${answer.url.host}`);
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(await answer.bytes(maxTokenBytes)));
    } catch (cause) {
      throw new GantryError("unavailable", `the token server ${answer.url.host} did not answer in JSON`, {
        cause,
      });
    }
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  }

  /** Credentials go to this address: it must be one that nobody listens in on. */
  #realm(challenge: Challenge, scopes: readonly string[]): URL {
    const realm = challenge.parameters.get("realm") ?? "";
    if (!URL.canParse(realm))
      throw new GantryError(
        "unavailable",
        `the registry names ${JSON.stringify(printable(realm, 200))} as its token server, which is no address`,
      );
    const url = new URL(realm);
    const isPlain = url.protocol === "http:" && (this.#options.insecure || isLoopback(url.hostname));
    if (url.protocol !== "https:" && !isPlain)
      throw new GantryError(
        "denied",
        `the registry's token server ${url.origin} speaks no TLS: no credentials are sent there`,
        {
          hint: "configure the registry as insecure if nobody can listen in: gantry engine --insecure-registry HOST",
        },
      );
    const service = challenge.parameters.get("service");
    if (service !== undefined) url.searchParams.set("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    return url;
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}

/** What we know that we need; the registry's own word where we need nothing in particular. */
function scopesOf(challenge: Challenge, wanted: readonly string[]): readonly string[] {
  const asked = (challenge.parameters.get("scope") ?? "").split(" ").filter((scope) => scope !== "");
  // A right that is in one we know of is not asked for twice.
  const isNew = (scope: string): boolean => !wanted.some((known) => holds(known, scope));
  return [...wanted, ...asked.filter(isNew)];
}

/** True when `repository:a/b:pull,push` gives all that `repository:a/b:pull` does. */
function holds(scope: string, other: string): boolean {
  const cut = scope.lastIndexOf(":") + 1;
  const actions = scope.slice(cut).split(",");
  return (
    other.startsWith(scope.slice(0, cut)) &&
    other
      .slice(cut)
      .split(",")
      .every((action) => actions.includes(action))
  );
}

const keyOf = (scopes: readonly string[]): string => [...scopes].sort().join(" ");

function basicHeader(auth: AuthConfig): string | undefined {
  const credentials = credentialsOf(auth);
  if (credentials === undefined) return undefined;
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
}
