/**
 * The part of ACME (RFC 8555) that orders one certificate by http-01: seven kinds of requests, each signed by the account's
 * key. Pure protocol: the keys and the place where challenges are answered are given.
 */
import { createHash, createPublicKey, type KeyObject, sign } from "node:crypto";
import { GantryError } from "../../lib/index.ts";

export interface AcmeOptions {
  /** Where the server describes itself. */
  readonly directory: string;
  /** P-256. */
  readonly accountKey: KeyObject;
  readonly email: string;
  /** PEM of the CA that signs the ACME server's own certificate, where the system does not know it. */
  readonly ca?: string | undefined;
  readonly signal: AbortSignal;
}

/** Publishes the answer to a challenge at /.well-known/acme-challenge/TOKEN. */
export type Publish = (token: string, answer: string) => void;

interface Answer {
  readonly body: unknown;
  readonly text: string;
  readonly location: string;
}

const pollMs = 1000;
const maxPolls = 90;
const maxAnswerChars = 1 << 20;
/** A server may refuse a nonce for any reason; a new one comes with the refusal. */
const maxNonces = 10;

export class AcmeClient {
  readonly #options: AcmeOptions;
  #directory: Readonly<Record<string, string>> = {};
  #account = "";
  #nonce = "";

  constructor(options: AcmeOptions) {
    this.#options = options;
  }

  /** Orders a certificate for names. @returns the chain as PEM */
  async order(names: readonly string[], request: Uint8Array, publish: Publish): Promise<string> {
    await this.#open();
    const identifiers = names.map((value) => ({ type: /^[0-9.]+$|:/.test(value) ? "ip" : "dns", value }));
    const made = await this.#post(this.#url("newOrder"), { identifiers });
    for (const url of texts(made.body, "authorizations")) await this.#authorize(url, publish);
    const finalize = text(made.body, "finalize");
    await this.#post(finalize, { csr: base64url(request) });
    const order = await this.#until(made.location, "valid", "the order");
    return (await this.#post(text(order, "certificate"), undefined)).text;
  }

  async #open(): Promise<void> {
    const response = await this.#fetch(this.#options.directory, {});
    const directory: unknown = await response.json();
    this.#directory = Object.fromEntries(
      ["newNonce", "newAccount", "newOrder"].map((name) => [name, text(directory, name)]),
    );
    const contact = this.#options.email === "" ? [] : [`mailto:${this.#options.email}`];
    const { location } = await this.#post(this.#url("newAccount"), { termsOfServiceAgreed: true, contact });
    this.#account = location;
  }

  #url(name: string): string {
    return this.#directory[name] ?? "";
  }

  async #authorize(url: string, publish: Publish): Promise<void> {
    const { body } = await this.#post(url, undefined);
    if (text(body, "status") === "valid") return;
    const challenge = records(body, "challenges").find((one) => one["type"] === "http-01");
    if (challenge === undefined)
      throw new GantryError("unsupported", "the ACME server offers no http-01 challenge", {
        hint: "names with a wildcard need DNS: take a certificate from elsewhere, --tls-cert and --tls-key",
      });
    const token = text(challenge, "token");
    if (!/^[A-Za-z0-9_-]{1,256}$/.test(token)) throw bad("a challenge's token is none");
    publish(token, `${token}.${this.#thumbprint()}`);
    await this.#post(text(challenge, "url"), {});
    await this.#until(url, "valid", "the authorization");
  }

  async #until(url: string, wanted: string, what: string): Promise<unknown> {
    for (let i = 0; i < maxPolls; i++) {
      const { body } = await this.#post(url, undefined);
      const status = text(body, "status");
      if (status === wanted) return body;
      if (status === "invalid") {
        const why = records(body, "challenges")
          .map((one) => problemOf(one["error"]))
          .find((one) => one !== "");
        throw new GantryError(
          "denied",
          `the ACME server refused ${what}: ${why ?? problemOf(field(body, "error"))}`,
          {
            hint: "port 80 of every name must lead here: see --acme-http-addr",
          },
        );
      }
      await Bun.sleep(pollMs);
      this.#options.signal.throwIfAborted();
    }
    throw new GantryError("timeout", `the ACME server did not finish ${what}`);
  }

  /** Signed by the account's key; a nonce that has gone stale is tried once more. */
  async #post(url: string, payload: unknown): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const response = await this.#fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/jose+json" },
        body: this.#jws(url, payload, await this.#takeNonce()),
      });
      this.#nonce = response.headers.get("replay-nonce") ?? "";
      const content = (await response.text()).slice(0, maxAnswerChars);
      const body = jsonOf(content);
      if (response.ok) return { body, text: content, location: response.headers.get("location") ?? "" };
      if (attempt < maxNonces && field(body, "type") === "urn:ietf:params:acme:error:badNonce") continue;
      throw new GantryError("unavailable", `the ACME server answered ${response.status}: ${problemOf(body)}`);
    }
  }

  async #takeNonce(): Promise<string> {
    const kept = this.#nonce;
    this.#nonce = "";
    if (kept !== "") return kept;
    const response = await this.#fetch(this.#url("newNonce"), { method: "HEAD" });
    return response.headers.get("replay-nonce") ?? "";
  }

  #jws(url: string, payload: unknown, nonce: string): string {
    const { accountKey } = this.#options;
    const who = this.#account === "" ? { jwk: this.#jwk() } : { kid: this.#account };
    const head = base64url(JSON.stringify({ alg: "ES256", nonce, url, ...who }));
    const body = payload === undefined ? "" : base64url(JSON.stringify(payload));
    const signature = sign("sha256", Buffer.from(`${head}.${body}`), {
      key: accountKey,
      dsaEncoding: "ieee-p1363",
    });
    return JSON.stringify({ protected: head, payload: body, signature: base64url(signature) });
  }

  /** Members in the order that RFC 7638 hashes them in. */
  #jwk(): Readonly<Record<string, unknown>> {
    const { crv, kty, x, y } = createPublicKey(this.#options.accountKey).export({ format: "jwk" });
    return { crv, kty, x, y };
  }

  #thumbprint(): string {
    return createHash("sha256").update(JSON.stringify(this.#jwk())).digest("base64url");
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { ca, signal } = this.#options;
    if (!url.startsWith("https://")) throw bad(`${JSON.stringify(url.slice(0, 200))} is no https address`);
    return fetch(url, {
      ...init,
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
  }
}

const base64url = (data: string | Uint8Array): string => Buffer.from(data).toString("base64url");
const bad = (what: string): GantryError => new GantryError("corrupt", `the ACME server's answer: ${what}`);

function jsonOf(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    // SyntaxError: a certificate, or a proxy's page.
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

const field = (value: unknown, name: string): unknown => (isRecord(value) ? value[name] : undefined);

function text(value: unknown, name: string): string {
  const found = field(value, name);
  if (typeof found !== "string") throw bad(`no ${name}`);
  return found;
}

function texts(value: unknown, name: string): readonly string[] {
  const found = field(value, name);
  return Array.isArray(found)
    ? found.filter((one): one is string => typeof one === "string").slice(0, 100)
    : [];
}

function records(value: unknown, name: string): readonly Readonly<Record<string, unknown>>[] {
  const found = field(value, name);
  return Array.isArray(found) ? found.filter(isRecord) : [];
}

/** The sentence of a problem document (RFC 7807). */
function problemOf(value: unknown): string {
  const detail = field(value, "detail");
  return typeof detail === "string" ? detail.slice(0, 300) : "";
}
