/** The door to registries: where each name is kept, how it is reached, and who we are there. */
import type { ImageSource, ImageTarget, Reference } from "../image/index.ts";
import { GantryError } from "../lib/index.ts";
import { type AuthConfig, Authenticator } from "./auth.ts";
import { readCertificates } from "./certificates.ts";
import { listRepositories } from "./listings.ts";
import type { Environment } from "./proxy.ts";
import { registryError } from "./registry-error.ts";
import { RegistrySource } from "./registry-source.ts";
import { RegistryTarget } from "./registry-target.ts";
import { RepositoryClient } from "./repository-client.ts";
import { type RetryPolicy, usualRetries } from "./retry.ts";
import { search, type SearchResult } from "./search.ts";
import { noRegistriesConfig, type RegistriesConfig, settingsOf } from "./settings.ts";
import { type HttpAnswer, Transport } from "./transport.ts";

export interface RegistriesOptions {
  readonly config?: RegistriesConfig;
  /** `gantry/1.0`. */
  readonly userAgent?: string;
  readonly environment?: Environment;
  /** Without a byte for so long, a request is given up. */
  readonly stallMs?: number;
  readonly retries?: RetryPolicy;
  /** Tries of a request in all, in place of the usual number. */
  readonly attempts?: number;
  /** Blobs that a push sends at a time. */
  readonly uploads?: number;
}

export interface LoginResult {
  readonly status: string;
  /** A refresh token to be stored instead of the password. */
  readonly identityToken?: string;
}

/** Without a byte for so long, a request is given up; it is tried again then. */
const defaultStallMs = 30_000;
/** What speaks TLS on this machine or nearby begins at once. */
const pingMs = 5_000;

/** docker.io is a name; this is where it lives. */
const hubHost = "registry-1.docker.io";

interface Reach {
  readonly base: string;
  readonly transport: Transport;
  readonly insecure: boolean;
}

interface Known extends Reach {
  /** By credentials: tokens are good for all that is done with them. */
  readonly authenticators: Map<string, Authenticator>;
}

/** For so long a host is taken to be as it was: one operation asks once, a changed certificate counts at the next. */
const reachMs = 10_000;
const maxAuthenticators = 100;

export class Registries {
  #options: RegistriesOptions;
  /** By domain. */
  readonly #reached = new Map<string, { readonly known: Promise<Known>; readonly untilMs: number }>();

  constructor(options: RegistriesOptions = {}) {
    this.#options = options;
  }

  /** Other options from now on; what is under way goes on as it began. */
  configure(options: RegistriesOptions): void {
    this.#options = options;
    this.#reached.clear();
  }

  /** Blobs that a push sends at a time; undefined: as many as usual. */
  get uploads(): number | undefined {
    return this.#options.uploads;
  }

  /** The image that a name means, or the whole repository. @throws {GantryError} "unavailable", "not-found" for certificates */
  async source(reference: Reference, auth: AuthConfig = {}): Promise<ImageSource> {
    const settings = settingsOf(this.#config, reference.domain);
    const clients: RepositoryClient[] = [];
    for (const mirror of settings.mirrors) {
      // Credentials are the registry's, not the mirror's.
      const client = await this.#mirror(mirror, reference).catch(() => undefined);
      if (client !== undefined) clients.push(client);
    }
    const own = await this.#client(reference, auth, "pull").catch((error: unknown) => {
      // An air-gapped site has nothing but its mirror.
      if (clients.length === 0) throw error;
    });
    if (own !== undefined) clients.push(own);
    return new RegistrySource({
      name: `${reference.domain}/${reference.path}`,
      clients,
      reference: reference.digest ?? reference.tag ?? "latest",
    });
  }

  async target(reference: Reference, auth: AuthConfig = {}): Promise<ImageTarget> {
    const client = await this.#client(reference, auth, "pull,push");
    return new RegistryTarget(`${reference.domain}/${reference.path}`, client);
  }

  /**
   * Takes a manifest or, with `tagOnly`, just the tag away at the registry.
   * @throws {GantryError} "unsupported" where deletion is switched off
   */
  async delete(reference: Reference, auth: AuthConfig = {}, tagOnly = false): Promise<void> {
    const client = await this.#client(reference, auth, "pull,delete");
    const name = `${reference.domain}/${reference.path}`;
    const tag = reference.tag ?? "latest";
    let to: string = reference.digest ?? tag;
    if (reference.digest === undefined && !tagOnly) {
      await using source = new RegistrySource({ name, clients: [client], reference: tag });
      to = (await source.manifest()).digest;
    }
    const answer = await client.request({
      method: "DELETE",
      to: `manifests/${to}`,
      expect: [200, 202, 204],
      doing: `delete ${name}${to.includes(":") ? "@" : ":"}${to}`,
    });
    await answer.cancel();
  }

  /** All repositories of a host. */
  async catalog(host: string, auth: AuthConfig = {}): Promise<readonly string[]> {
    const known = await this.#reach(hostOf(host));
    const authenticator = authenticatorOf(known, auth);
    return listRepositories(
      new RepositoryClient({ ...known, path: "_catalog", authenticator, scope: "registry:catalog:*" }),
    );
  }

  /** Tries credentials as `docker login` does. @throws {GantryError} "denied" in docker's words */
  async login(server: string, auth: AuthConfig, signal?: AbortSignal): Promise<LoginResult> {
    const { base, transport, insecure } = await this.#reach(hostOf(server));
    const authenticator = new Authenticator({ transport, auth, insecure });
    const url = new URL(`${base}/v2/`);
    const first = await transport.send({ method: "GET", url, signal });
    if (first.status === 200) {
      await first.cancel();
      return { status: "Login Succeeded" };
    }
    if (first.status !== 401) throw await registryError(first, `login attempt to ${url.href} failed`);
    const header = await authenticator.answer(first, undefined, [], signal);
    if (header === undefined) throw await registryError(first, `login attempt to ${url.href} failed`);
    await first.cancel();
    const second = await transport.send({ method: "GET", url, headers: { Authorization: header }, signal });
    if (second.status !== 200) throw await refused(second, url);
    await second.cancel();
    const identityToken = auth.identitytoken
      ? undefined
      : await authenticator.identityToken(first, signal).catch(() => undefined);
    return { status: "Login Succeeded", ...(identityToken === undefined ? {} : { identityToken }) };
  }

  /** @param term may begin with a host: `registry.example.com/word` */
  async search(term: string, limit: number, auth: AuthConfig = {}): Promise<readonly SearchResult[]> {
    const match = /^([^/]*[.:][^/]*|localhost)\/(.*)$/.exec(term);
    const host = match?.[1] ?? "index.docker.io";
    const reach = await this.#reach(host);
    return search(reach.transport, { base: reach.base, term: match?.[2] ?? term, limit, auth });
  }

  get #retries(): RetryPolicy {
    const { retries = usualRetries, attempts = retries.tries } = this.#options;
    return { ...retries, tries: attempts };
  }

  get #config(): RegistriesConfig {
    return this.#options.config ?? noRegistriesConfig;
  }

  async #client(reference: Reference, auth: AuthConfig, actions: string): Promise<RepositoryClient> {
    const known = await this.#reach(reference.domain);
    const { path } = reference;
    const scope = `repository:${path}:${actions}`;
    const authenticator = authenticatorOf(known, auth);
    return new RepositoryClient({ ...known, path, authenticator, scope, retries: this.#retries });
  }

  async #mirror(mirror: string, reference: Reference): Promise<RepositoryClient> {
    const url = new URL(mirror);
    const insecure = settingsOf(this.#config, url.host).insecure;
    const transport = this.#transport([url.host], insecure);
    const authenticator = new Authenticator({ transport, auth: {}, insecure });
    const prefix = url.pathname.replace(/^\/+|\/+$/g, "");
    const path = prefix === "" ? reference.path : `${prefix}/${reference.path}`;
    return new RepositoryClient({
      base: url.origin,
      path,
      transport,
      authenticator,
      scope: `repository:${path}:pull`,
      // The registry itself is there when the mirror is not.
      retries: { tries: 2, firstDelayMs: 200, maxDelayMs: 200, maxRetryAfterMs: 1_000 },
    });
  }

  #reach(domain: string): Promise<Known> {
    const now = Date.now();
    const before = this.#reached.get(domain);
    if (before !== undefined && before.untilMs > now) return before.known;
    const known = this.#find(domain).then((reach) => ({ ...reach, authenticators: new Map() }));
    for (const [name, { untilMs }] of this.#reached) if (untilMs <= now) this.#reached.delete(name);
    this.#reached.set(domain, { known, untilMs: now + reachMs });
    // What failed is tried anew by the next one.
    known.catch(() => this.#reached.delete(domain));
    return known;
  }

  /** https; http where https does not answer and the registry is configured as insecure. */
  async #find(domain: string): Promise<Reach> {
    const { insecure } = settingsOf(this.#config, domain);
    const host = domain === "docker.io" ? hubHost : domain;
    const transport = this.#transport(host === domain ? [domain] : [domain, host], insecure);
    const https = { base: `https://${host}`, transport, insecure };
    if (!insecure) return https;
    // No answer of any kind: nothing there speaks TLS. As docker does, whose users know the order.
    const answer = await ping(https).catch(() => undefined);
    await answer?.cancel();
    return answer === undefined ? { base: `http://${host}`, transport, insecure } : https;
  }

  /** @param hosts by which certificates and settings know it; the first is what users say */
  #transport(hosts: readonly [string, ...string[]], insecure: boolean): Transport {
    const environment = this.#options.environment ?? process.env;
    return new Transport({
      certificates: readCertificates(hosts, settingsOf(this.#config, hosts[0]), environment["HOME"]),
      insecure,
      environment,
      userAgent: this.#options.userAgent ?? "gantry",
      stallMs: this.#options.stallMs ?? defaultStallMs,
    });
  }
}

function authenticatorOf({ authenticators, transport, insecure }: Known, auth: AuthConfig): Authenticator {
  const key = JSON.stringify(auth);
  const known = authenticators.get(key);
  if (known !== undefined) return known;
  const made = new Authenticator({ transport, auth, insecure });
  if (authenticators.size >= maxAuthenticators) authenticators.clear();
  authenticators.set(key, made);
  return made;
}

function ping({ base, transport }: Reach): Promise<HttpAnswer> {
  const signal = AbortSignal.timeout(pingMs);
  return transport.send({ method: "GET", url: new URL(`${base}/v2/`), signal });
}

/** `https://index.docker.io/v1/`, as docker's clients call their default registry, is docker.io. */
export function hostOf(server: string): string {
  const host = server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "" || host === "index.docker.io" || host === hubHost ? "docker.io" : host;
}

async function refused(answer: HttpAnswer, url: URL): Promise<GantryError> {
  const { status } = answer;
  await answer.cancel();
  return new GantryError(
    status === 401 || status === 403 ? "denied" : "unavailable",
    `login attempt to ${url.href} failed with status: ${status} ${status === 401 ? "Unauthorized" : ""}`.trim(),
    {
      fields: { status },
    },
  );
}
