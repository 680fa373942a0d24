/** A token server for docker-registry, as its specification has it (GET with basic credentials, POST with a refresh token). */
import { createSign } from "node:crypto";
import type { TestPair } from "./test-certificates.ts";

export interface TokenRequest {
  readonly method: string;
  readonly user: string | undefined;
  readonly scopes: readonly string[];
  readonly params: URLSearchParams;
}

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");

export class TokenServer {
  readonly asked: TokenRequest[] = [];
  /** Seconds that tokens live by their answer. */
  life = 300;
  readonly #pair: TestPair;
  readonly #server: ReturnType<typeof Bun.serve>;

  /** alice (password `pw`) may do everything, nobody may pull from repositories that begin with `open/`. */
  constructor(pair: TestPair) {
    this.#pair = pair;
    this.#server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => this.#answer(request) });
  }

  get realm(): string {
    return `http://127.0.0.1:${this.#server.port}/token`;
  }

  /** docker-registry's `auth` section. */
  get section(): object {
    const { realm } = this;
    return {
      token: { realm, service: "test-registry", issuer: "test", rootcertbundle: this.#pair.certFile },
    };
  }

  async #answer(request: Request): Promise<Response> {
    const isPost = request.method === "POST";
    const params = isPost ? new URLSearchParams(await request.text()) : new URL(request.url).searchParams;
    const scopes = params.getAll("scope").flatMap((scope) => scope.split(" "));
    const user = isPost ? userOfRefresh(params) : userOfBasic(request.headers.get("authorization"));
    this.asked.push({ method: request.method, user, scopes, params });
    if (user === "") return Response.json({ details: "incorrect username or password" }, { status: 401 });
    const token = this.#token(user, scopes);
    const refresh = params.get("offline_token") === "true" ? { refresh_token: "refresh-alice" } : {};
    return Response.json({ token, access_token: token, expires_in: this.life, ...refresh });
  }

  #token(user: string | undefined, scopes: readonly string[]): string {
    const now = Math.floor(Date.now() / 1000);
    const access = scopes.flatMap((scope) => {
      const [type = "", name = "", actions = ""] = scope.split(":");
      if (user === undefined && !name.startsWith("open/")) return [];
      return [{ type, name, actions: user === undefined ? ["pull"] : actions.split(",") }];
    });
    const x5c = this.#pair.cert.replace(/-----[A-Z ]+-----/g, "").replaceAll(/\s/g, "");
    const head = base64(JSON.stringify({ typ: "JWT", alg: "ES256", x5c: [x5c] }));
    const claims = {
      iss: "test",
      sub: user ?? "",
      aud: "test-registry",
      exp: now + 300,
      nbf: now - 10,
      iat: now,
    };
    const body = base64(JSON.stringify({ ...claims, jti: String(Math.random()), access }));
    const sign = createSign("SHA256").update(`${head}.${body}`);
    return `${head}.${body}.${base64(sign.sign({ key: this.#pair.key, dsaEncoding: "ieee-p1363" }))}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

/** undefined: nobody; empty: refused. */
function userOfBasic(header: string | null): string | undefined {
  if (header === null) return undefined;
  return Buffer.from(header.replace(/^Basic /, ""), "base64").toString() === "alice:pw" ? "alice" : "";
}

function userOfRefresh(params: URLSearchParams): string {
  return params.get("grant_type") === "refresh_token" && params.get("refresh_token") === "refresh-alice"
    ? "alice"
    : "";
}
