import { beforeEach, expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { RegistryError } from "../errors.ts";
import { MemorySql } from "../memory-sql.test-data.ts";
import type { Scope } from "../types.ts";
import { AccountAccess } from "./access-control.ts";
import { Accounts } from "./accounts.ts";
import { Credentials } from "./credentials.ts";
import { newRobotSecret, PasswordCheck } from "./passwords.ts";
import { RefreshTokens } from "./refresh-tokens.ts";
import { LoginThrottle } from "./throttle.ts";
import { TokenEndpoint } from "./token-endpoint.ts";
import { Tokens } from "./tokens.ts";

const service = "gantry-registry";
let now = Date.parse("2026-11-25T00:00:00Z");
const clock = (): number => now;

interface World {
  readonly sql: MemorySql;
  readonly accounts: Accounts;
  readonly tokens: Tokens;
  readonly access: AccountAccess;
  readonly logins: string[];
}

// Robots' secrets are hashed quickly: users' passwords have a test of their own.
const alice = newRobotSecret();
const root = newRobotSecret();
let world: World;

async function makeWorld(): Promise<World> {
  const sql = await MemorySql.open();
  const accounts = new Accounts(sql, clock);
  const refreshTokens = new RefreshTokens(sql, clock);
  const tokens = await Tokens.open(sql, service, clock);
  const logins: string[] = [];
  const credentials = new Credentials({
    accounts,
    refreshTokens,
    passwords: new PasswordCheck(clock),
    throttle: new LoginThrottle(clock),
    onLogin: (name, address, result) => logins.push(`${name} ${address} ${result}`),
    now: clock,
  });
  const endpoint = new TokenEndpoint({ accounts, credentials, refreshTokens, tokens, service, now: clock });
  const access = new AccountAccess({
    accounts,
    credentials,
    tokens,
    endpoint,
    service,
    externalUrl: "",
    addressOf: () => "10.0.0.1",
    now: clock,
  });
  await accounts.add({ name: "alice", kind: "robot", admin: false, secret: alice.stored });
  await accounts.add({ name: "root", kind: "robot", admin: true, secret: root.stored });
  await accounts.grant("alice", "team/*", ["pull", "push"]);
  await accounts.grant("alice", "lib/*", ["pull"]);
  await accounts.addPublic("open/*");
  return { sql, accounts, tokens, access, logins };
}

beforeEach(async () => {
  world = await makeWorld();
});

const basic = (name: string, secret: string): string => `Basic ${btoa(`${name}:${secret}`)}`;
const scope = (name: string, ...actions: Scope["actions"]): Scope => ({ type: "repository", name, actions });

const ask = (authorization?: string, headers: Readonly<Record<string, string>> = {}): Request =>
  new Request("http://registry.example:5000/v2/", {
    headers: {
      host: "registry.example:5000",
      ...headers,
      ...(authorization === undefined ? {} : { authorization }),
    },
  });

async function refusal(work: Promise<unknown>): Promise<RegistryError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

async function tokenBy(path: string, init: RequestInit = {}): Promise<Readonly<Record<string, unknown>>> {
  const response = await world.access.handle(new Request(`http://r${path}`, init));
  return (await response?.json()) as Readonly<Record<string, unknown>>;
}

const get = (query: string, authorization?: string): Promise<Readonly<Record<string, unknown>>> =>
  tokenBy(`/token?${query}`, authorization === undefined ? {} : { headers: { authorization } });

const post = (form: Readonly<Record<string, string>>): Promise<Readonly<Record<string, unknown>>> =>
  tokenBy("/token", { method: "POST", body: new URLSearchParams(form) });

test("nobody is told where to log in, with the scope to ask for", async () => {
  const error = await refusal(world.access.authorize(ask(), [scope("team/app", "pull", "push")]));
  expect(error.status).toBe(401);
  expect(error.code).toBe("UNAUTHORIZED");
  expect(error.headers["WWW-Authenticate"]).toBe(
    'Bearer realm="http://registry.example:5000/token",service="gantry-registry",scope="repository:team/app:pull,push"',
  );
  const ping = await refusal(world.access.authorize(ask(), []));
  expect(ping.headers["WWW-Authenticate"]).toBe(
    'Bearer realm="http://registry.example:5000/token",service="gantry-registry"',
  );
});

test.each([
  'evil.example/x"',
  'a",realm="https://evil.example',
  "a b",
  "a@evil.example",
  "evil.example/path",
  "-x",
  "a:99999999",
])("a Host of %j leads nowhere", async (host) => {
  const request = new Request("http://registry.example/v2/");
  request.headers.set("host", host);
  const error = await refusal(world.access.authorize(request, []));
  expect(error.headers["WWW-Authenticate"]).toStartWith('Bearer realm="http://localhost/token",service=');
});

test("Basic counts by itself", async () => {
  const request = ask(basic("alice", alice.secret));
  expect(await world.access.authorize(request, [scope("team/app", "pull", "push")])).toEqual({
    name: "alice",
    kind: "robot",
  });
  const denied = await refusal(world.access.authorize(request, [scope("team/app", "delete")]));
  expect([denied.status, denied.code]).toEqual([403, "DENIED"]);
  expect(denied.message).toBe("requested access to the resource is denied: alice may not delete team/app");
  const wrong = await refusal(world.access.authorize(ask(basic("alice", "x")), []));
  const unknown = await refusal(world.access.authorize(ask(basic("nobody", "x")), []));
  expect([wrong.status, wrong.message]).toEqual([unknown.status, unknown.message]);
  expect(wrong.status).toBe(401);
  expect(world.logins).toEqual([
    "alice 10.0.0.1 ok",
    "alice 10.0.0.1 ok",
    "alice 10.0.0.1 refused",
    "nobody 10.0.0.1 refused",
  ]);
});

test("anybody pulls what is public, and only that", async () => {
  expect(await world.access.authorize(ask(), [scope("open/x", "pull")])).toEqual({
    name: undefined,
    kind: "anonymous",
  });
  expect((await refusal(world.access.authorize(ask(), [scope("open/x", "push")]))).status).toBe(401);
  const { token } = await get("service=gantry-registry&scope=repository:open/x:pull,push");
  const bearer = ask(`Bearer ${String(token)}`);
  expect((await world.access.authorize(bearer, [scope("open/x", "pull")])).name).toBeUndefined();
  expect((await world.access.authorize(bearer, [])).name).toBeUndefined();
  expect((await refusal(world.access.authorize(bearer, [scope("open/x", "push")]))).status).toBe(401);
});

test("a token holds what was asked for and is held, no more", async () => {
  const answer = await get(
    "account=alice&client_id=docker&service=gantry-registry&scope=repository:team/app:pull,push,delete&scope=repository:lib/x:pull,push&scope=registry:catalog:*",
    basic("alice", alice.secret),
  );
  expect(answer["scope"]).toBe("repository:team/app:pull,push repository:lib/x:pull");
  expect(answer["expires_in"]).toBe(300);
  expect(answer["token"]).toBe(answer["access_token"]);
  expect(answer["refresh_token"]).toBeUndefined();
  const bearer = ask(`Bearer ${String(answer["token"])}`);
  expect((await world.access.authorize(bearer, [scope("team/app", "pull", "push")])).name).toBe("alice");
  expect(await world.access.mayAlso(bearer, scope("lib/x", "pull"))).toBe(true);
  expect(await world.access.mayAlso(bearer, scope("other/x", "pull"))).toBe(false);
  // The right is there, the token is for something else: fetch another one.
  const elsewhere = await refusal(world.access.authorize(bearer, [scope("team/other", "pull")]));
  expect(elsewhere.headers["WWW-Authenticate"]).toEndWith(
    ',scope="repository:team/other:pull",error="insufficient_scope"',
  );
  expect((await refusal(world.access.authorize(bearer, [scope("team/app", "delete")]))).code).toBe("DENIED");
});

test("docker's identity token: offline_token, then refresh_token grants", async () => {
  const login = await get("offline_token=true&service=gantry-registry", basic("alice", alice.secret));
  const refresh = String(login["refresh_token"]);
  const form = { grant_type: "refresh_token", refresh_token: refresh, service, client_id: "docker" };
  const answer = await post({ ...form, scope: "repository:team/app:pull repository:lib/x:pull" });
  expect(answer["scope"]).toBe("repository:team/app:pull repository:lib/x:pull");
  expect(answer["refresh_token"]).toBe(refresh);
  expect(answer["token"]).toBeUndefined();
  await world.accounts.setDisabled("alice", true);
  expect((await refusal(post(form))).status).toBe(401);
});

test("containerd's password grant", async () => {
  const form = {
    grant_type: "password",
    username: "alice",
    password: alice.secret,
    service,
    client_id: "containerd",
  };
  expect((await post({ ...form, scope: "repository:team/app:pull" }))["scope"]).toBe(
    "repository:team/app:pull",
  );
  expect(typeof (await post({ ...form, access_type: "offline" }))["refresh_token"]).toBe("string");
  expect((await refusal(post({ ...form, password: "x" }))).status).toBe(401);
  expect((await refusal(post({ grant_type: "magic" }))).status).toBe(400);
  expect((await refusal(post({ ...form, service: "other" }))).status).toBe(400);
});

test("a header that cannot be read is not anonymous", async () => {
  for (const header of ["Basic !", "Basic", "Digest x", "Bearer"])
    expect((await refusal(get("scope=repository:open/x:pull", header))).status).toBe(401);
  expect((await refusal(world.access.authorize(ask("Negotiate x"), [scope("open/x", "pull")]))).status).toBe(
    401,
  );
});

test("tokens end with the account, its password, and with time", async () => {
  const bearer = async (): Promise<Request> => {
    const { token } = await get("scope=repository:team/app:pull", basic("alice", alice.secret));
    return ask(`Bearer ${String(token)}`);
  };
  const wanted = [scope("team/app", "pull")];
  const first = await bearer();
  await world.access.authorize(first, wanted);
  now += 301_000;
  expect((await refusal(world.access.authorize(first, wanted))).headers["WWW-Authenticate"]).toContain(
    "invalid_token",
  );
  const second = await bearer();
  await world.accounts.setSecret("alice", alice.stored);
  expect((await refusal(world.access.authorize(second, wanted))).status).toBe(401);
  const third = await bearer();
  await world.accounts.remove("alice");
  expect((await refusal(world.access.authorize(third, wanted))).status).toBe(401);
});

test("a robot's secret ends when it is said to", async () => {
  const robot = newRobotSecret();
  const expiresMs = now + 60_000;
  await world.accounts.add({ name: "ci", kind: "robot", admin: false, secret: robot.stored, expiresMs });
  await world.accounts.grant("ci", "team/*", ["push"]);
  const request = ask(basic("ci", robot.secret));
  await world.access.authorize(request, [scope("team/app", "push")]);
  now += 60_000;
  expect((await refusal(world.access.authorize(request, [scope("team/app", "push")]))).status).toBe(401);
});

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

test("forged tokens: other algorithms, other keys, changed claims, other spellings", async () => {
  const good = await world.tokens.issue("root", (await world.accounts.get("root"))?.epoch ?? 0, [
    scope("a", "pull"),
  ]);
  const [header = "", body = "", signature = ""] = good.split(".");
  expect((await world.tokens.verify(good))?.subject).toBe("root");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Readonly<Record<string, unknown>>;
  const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as { readonly kid: string };
  const other = generateKeyPairSync("ed25519");
  const spki = other.publicKey.export({ format: "der", type: "spki" });
  const signedBy = (head: string, text: string): string =>
    `${head}.${text}.${sign(null, Buffer.from(`${head}.${text}`), other.privateKey).toString("base64url")}`;
  const hmac = (head: string): string =>
    `${head}.${body}.${createHmac("sha256", spki).update(`${head}.${body}`).digest("base64url")}`;
  const forged = [
    `${encode({ alg: "none", typ: "JWT" })}.${body}.`,
    `${encode({ alg: "none", typ: "JWT", kid })}.${body}.${signature}`,
    hmac(encode({ alg: "HS256", typ: "JWT", kid })),
    signedBy(header, body),
    signedBy(encode({ alg: "EdDSA", typ: "JWT", kid: "../../dev/null" }), body),
    signedBy(encode({ alg: "EdDSA", typ: "JWT", kid, jwk: other.publicKey.export({ format: "jwk" }) }), body),
    signedBy(encode({ alg: "EdDSA", typ: "JWT", kid, jku: "https://evil.example/jwks" }), body),
    `${header}.${encode({ ...claims, access: [scope("a", "delete")] })}.${signature}`,
    `${header}.${body}.${signature}=`,
    `${header}.${body}.${signature}.x`,
    `${header}.${body}`,
    `${header}.${body}.`,
    `${encode({ typ: "JWT", alg: "EdDSA", kid })}.${body}.${signature}`,
    "",
    ".",
    "..",
    "a".repeat(100_000),
  ];
  for (const token of forged) expect(await world.tokens.verify(token)).toBeUndefined();
});

test("tokens for another service, not yet good, or of another registry", async () => {
  const other = await Tokens.open(world.sql, "another", clock);
  expect(await world.tokens.verify(await other.issue("root", 1, []))).toBeUndefined();
  const stranger = await Tokens.open(await MemorySql.open(), service, clock);
  expect(await world.tokens.verify(await stranger.issue("root", 1, []))).toBeUndefined();
  const same = await Tokens.open(world.sql, service, () => now + 60_000);
  expect(await world.tokens.verify(await same.issue("root", 1, []))).toBeUndefined();
  expect(
    (await (await Tokens.open(world.sql, service, clock)).verify(await world.tokens.issue("root", 1, [])))
      ?.subject,
  ).toBe("root");
});

test("crafted scope strings win nothing", async () => {
  const ask = async (text: string): Promise<unknown> =>
    (await get(`scope=${encodeURIComponent(text)}`, basic("alice", alice.secret)))["scope"];
  for (const text of [
    "repository:other/x:pull",
    "repository:team/../other:pull",
    "repository:team/app/../../x:*",
    "repository:team%2fapp:pull",
    "repository:TEAM/app:pull",
    "repository:team/*:pull",
    "registry:catalog:*",
    "repository:team/app:pull:push",
  ])
    expect(await ask(text)).toBe("");
  expect(await ask("repository:team/app:delete,pull")).toBe("repository:team/app:pull");
  expect(await ask("repository:other/x:pull,push repository:team/app:*")).toBe(
    "repository:team/app:pull,push",
  );
});

test("passwords by argon2id; a name that is unknown takes as long", async () => {
  const check = new PasswordCheck(clock);
  const stored = await Bun.password.hash("right", { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 });
  expect(await check.verify(stored, "wrong")).toBe(false);
  expect(check.knows(stored, "right")).toBe(false);
  expect(await check.verify(stored, "right")).toBe(true);
  expect(check.knows(stored, "right")).toBe(true);
  now += 61_000;
  expect(check.knows(stored, "right")).toBe(false);
  await check.verify(undefined, "x");
  const timed = async (against: string | undefined): Promise<number> => {
    const started = performance.now();
    await check.verify(against, "wrong");
    return performance.now() - started;
  };
  const [known, unknown] = [await timed(stored), await timed(undefined)];
  expect(unknown).toBeGreaterThan(known / 4);
  expect(await check.verify(stored, "x".repeat(2000))).toBe(false);
});

test("accounts: names, twice, rights", async () => {
  const { accounts } = world;
  expect(accounts.add({ name: "alice", kind: "user", admin: false, secret: "" })).rejects.toThrow("already");
  for (const name of ["", "A", "a b", "a:b", "-a", "a".repeat(65), "a\n"])
    expect(accounts.add({ name, kind: "user", admin: false, secret: "" })).rejects.toThrow(
      "no name of an account",
    );
  await accounts.grant("alice", "team/*", ["delete"]);
  expect((await accounts.get("alice"))?.rights).toEqual([
    { pattern: "lib/*", actions: ["pull"] },
    { pattern: "team/*", actions: ["pull", "push", "delete"] },
  ]);
  await accounts.revoke("alice", "team/*");
  expect(accounts.revoke("alice", "team/*")).rejects.toThrow("has no right");
  expect(accounts.grant("nobody", "a", ["pull"])).rejects.toThrow("there is no account");
  expect((await accounts.list("robot")).map(({ name }) => name)).toEqual(["alice", "root"]);
  expect(await accounts.count()).toBe(2);
});
