/** What accounts, tokens, guards, retention, settings and deliveries promise over any database. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLogger, type Digest, sha256 } from "../lib/index.ts";
import { AccountAccess } from "./access/access-control.ts";
import { Accounts } from "./access/accounts.ts";
import { Credentials } from "./access/credentials.ts";
import { newRobotSecret, PasswordCheck } from "./access/passwords.ts";
import { RefreshTokens } from "./access/refresh-tokens.ts";
import { adminTables } from "./access/tables.ts";
import { LoginThrottle } from "./access/throttle.ts";
import { TokenEndpoint } from "./access/token-endpoint.ts";
import { listSigningKeys, rotateSigningKey } from "./access/signing-keys.ts";
import { Tokens } from "./access/tokens.ts";
import { ImmutableTagGuard } from "./guards/immutable-tags.ts";
import { listQuotas, QuotaGuard, removeQuota, setQuota } from "./guards/quotas.ts";
import { Metadata } from "./metadata.ts";
import { migrate } from "./migrate.ts";
import { printStorage } from "./observe/gauges.ts";
import {
  addImmutableRule,
  listImmutableRules,
  listRetentionRules,
  removeImmutableRule,
  removeRetentionRule,
  setRetentionRule,
} from "./retention/rules.ts";
import { applyRetention, decideRetention } from "./retention/run.ts";
import { Settings } from "./settings.ts";
import type { Sql } from "./sql.ts";
import type { CommitStep, RegistryEvent, RequestContext } from "./types.ts";
import { usageOf } from "./usage.ts";
import { Notifier } from "./webhooks/notifier.ts";
import { DeliveryQueue } from "./webhooks/queue.ts";
import { Webhooks } from "./webhooks/webhooks.ts";

const service = "gantry-registry";
/** Beyond 32 bits, as all times and most sizes are. */
const start = 1_764_040_000_123;
const mediaType = "application/vnd.oci.image.manifest.v1+json";
const context: RequestContext = {
  request: new Request("http://r/v2/"),
  id: "r",
  identity: { name: "alice", kind: "user" },
  remote: "10.0.0.1",
};

/** @param open an empty database */
export function adminSuite(name: string, open: () => Promise<Sql>): void {
  describe(`accounts and rules: ${name}`, () => {
    let sql: Sql;
    let metadata: Metadata;
    let now = start;
    const clock = (): number => now;
    beforeAll(async () => {
      sql = await open();
      await migrate(sql, "admin", adminTables);
      metadata = await Metadata.open(sql);
    });
    afterAll(() => sql.close());

    /** One instance's view of accounts. */
    async function instance(): Promise<{ access: AccountAccess; accounts: Accounts; tokens: Tokens }> {
      const accounts = new Accounts(sql, clock);
      const refreshTokens = new RefreshTokens(sql, clock);
      const tokens = await Tokens.open(sql, service, clock);
      const credentials = new Credentials({
        accounts,
        refreshTokens,
        passwords: new PasswordCheck(clock),
        throttle: new LoginThrottle(clock),
        now: clock,
      });
      const endpoint = new TokenEndpoint({
        accounts,
        credentials,
        refreshTokens,
        tokens,
        service,
        now: clock,
      });
      const addressOf = (): string => "10.0.0.1";
      const options = { accounts, credentials, tokens, endpoint, service, externalUrl: "", addressOf };
      return { access: new AccountAccess({ ...options, now: clock }), accounts, tokens };
    }

    async function push(
      repository: string,
      tag: string,
      text = tag,
      steps: readonly CommitStep[] = [],
    ): Promise<Digest> {
      const bytes = Buffer.from(text);
      const digest = sha256(bytes);
      const parts = { tags: [tag], blobs: [], foreignBlobs: [], manifests: [], totalBytes: bytes.length };
      const pushed = { repository, manifest: { digest, mediaType, bytes }, ...parts };
      await metadata.putManifest(pushed, now, false, steps);
      return digest;
    }

    async function upload(repository: string, text: string, size: number): Promise<Digest> {
      const digest = sha256(text);
      await metadata.claimBlob(digest, now);
      await metadata.setBlobSize(digest, size);
      await metadata.linkBlob(repository, digest, now);
      return digest;
    }

    test("accounts, rights, what is public", async () => {
      const accounts = new Accounts(sql, clock);
      expect(await accounts.count()).toBe(0);
      const { stored } = newRobotSecret();
      const expiresMs = start + 90 * 86_400_000;
      await accounts.add({ name: "ci", kind: "robot", admin: false, secret: stored, expiresMs });
      await accounts.add({ name: "root", kind: "user", admin: true, secret: stored });
      await expect(accounts.add({ name: "ci", kind: "user", admin: false, secret: "x" })).rejects.toThrow(
        "already",
      );
      await accounts.grant("ci", "team/*", ["pull"]);
      await accounts.grant("ci", "team/*", ["push"]);
      await accounts.grant("ci", "lib/*", ["pull"]);
      expect(await accounts.get("ci")).toMatchObject({
        kind: "robot",
        admin: false,
        expiresMs,
        disabled: false,
        rights: [
          { pattern: "lib/*", actions: ["pull"] },
          { pattern: "team/*", actions: ["pull", "push"] },
        ],
      });
      expect(await accounts.get("root")).toMatchObject({ admin: true, expiresMs: undefined });
      await accounts.setDisabled("ci", true);
      expect(await accounts.find("ci")).toMatchObject({ disabled: true });
      await accounts.setDisabled("ci", false);
      await accounts.setAdmin("root", false);
      expect((await accounts.list("user")).map(({ name: one, admin }) => [one, admin])).toEqual([
        ["root", false],
      ]);
      await accounts.revoke("ci", "lib/*");
      await expect(accounts.revoke("ci", "lib/*")).rejects.toThrow("has no right");
      await accounts.addPublic("open/*");
      await accounts.addPublic("open/*");
      expect(await accounts.publicPatterns()).toEqual(["open/*"]);
      await accounts.removePublic("open/*");
      await accounts.remove("ci");
      await expect(accounts.remove("ci")).rejects.toThrow("no account");
      expect(await sql.query("SELECT * FROM account_right")).toEqual([]);
    });

    test("instances share keys and accounts; a new secret ends logins", async () => {
      const [one, two] = [await instance(), await instance()];
      const { secret, stored } = newRobotSecret();
      await one.accounts.add({ name: "bob", kind: "robot", admin: false, secret: stored });
      await one.accounts.grant("bob", "team/*", ["pull"]);
      const form = new URLSearchParams({
        grant_type: "password",
        service,
        username: "bob",
        password: secret,
        scope: "repository:team/app:pull",
        access_type: "offline",
      });
      const ask = async (
        at: AccountAccess,
        body: URLSearchParams,
      ): Promise<Readonly<Record<string, string>>> => {
        const answer = await at.handle(new Request("http://r/token", { method: "POST", body }));
        return (await answer?.json()) as Readonly<Record<string, string>>;
      };
      const granted = await ask(two.access, form);
      const authorization = `Bearer ${granted["access_token"]}`;
      const request = new Request("http://r/v2/", { headers: { authorization } });
      const scope = { type: "repository", name: "team/app", actions: ["pull"] } as const;
      expect(await one.access.authorize(request, [scope])).toEqual({ name: "bob", kind: "robot" });
      const again = new URLSearchParams({
        grant_type: "refresh_token",
        service,
        refresh_token: granted["refresh_token"] ?? "",
        scope: "repository:team/app:pull",
      });
      expect((await ask(one.access, again))["access_token"]).toBeString();
      await two.accounts.setSecret("bob", newRobotSecret().stored);
      await expect(ask(one.access, again)).rejects.toThrow("authentication required");
      now += 3000;
      await expect(one.access.authorize(request, [scope])).rejects.toThrow("authentication required");
    });

    test("refresh tokens are bounded and end", async () => {
      const accounts = new Accounts(sql, clock);
      await accounts.add({ name: "many", kind: "robot", admin: false, secret: newRobotSecret().stored });
      const account = await accounts.get("many");
      if (account === undefined) throw new Error("no account");
      const refresh = new RefreshTokens(sql, clock);
      const first = await refresh.issue(account);
      for (let i = 0; i < 101; i++) {
        now++;
        await refresh.issue(account);
      }
      expect(await refresh.accountOf(first)).toBeUndefined();
      const last = await refresh.issue(account);
      expect(await refresh.accountOf(last)).toBe("many");
      expect(await sql.query("SELECT count(*) AS n FROM refresh_token WHERE account = 'many'")).toEqual([
        { n: 100 },
      ]);
      now += 91 * 86_400_000;
      expect(await refresh.accountOf(last)).toBeUndefined();
    });

    test("quotas count what is shared once, in bytes beyond 32 bits", async () => {
      const shared = await upload("q/a", "shared", 6_000_000_000);
      await metadata.mountBlob("q/b", shared, now);
      await push("q/a", "v1");
      expect(await usageOf(sql, "q/*")).toMatchObject({ repositories: 2, blobs: 1, bytes: 6_000_000_002 });
      await setQuota(sql, { pattern: "q/*", maxBytes: 1, maxManifests: undefined, maxTags: 5 });
      await setQuota(sql, { pattern: "q/*", maxBytes: 7_000_000_000, maxManifests: undefined, maxTags: 1 });
      expect(await listQuotas(sql)).toEqual([
        { pattern: "q/*", maxBytes: 7_000_000_000, maxManifests: undefined, maxTags: 1 },
      ]);
      const guard = new QuotaGuard(sql, clock);
      await guard.upload(context, "q/b", 999_000_000);
      await expect(guard.upload(context, "q/b", 1_001_000_000)).rejects.toThrow("holds 6000000002");
      const manifest = { digest: sha256("new"), mediaType, bytes: Buffer.from("new") };
      const wish = { repository: "q/b", manifest, tags: ["v2"], totalBytes: 3 };
      await expect(guard.putManifest(context, wish)).rejects.toThrow("may hold 1 tags");
      await removeQuota(sql, "q/*");
      await expect(removeQuota(sql, "q/*")).rejects.toThrow("no quota");
    });

    test("immutable tags, read-only", async () => {
      const digest = await push("fixed/a", "v1");
      await addImmutableRule(sql, { repositories: "fixed/*", tags: "v*" });
      await addImmutableRule(sql, { repositories: "fixed/*", tags: "v*" });
      const guard = new ImmutableTagGuard(sql, clock);
      const manifest = { digest: sha256("new"), mediaType, bytes: Buffer.from("new") };
      const wish = { repository: "fixed/a", manifest, tags: ["v1"], totalBytes: 3 };
      await expect(guard.putManifest(context, wish)).rejects.toThrow("immutable");
      await expect(guard.deleteManifest(context, "fixed/a", digest)).rejects.toThrow("immutable");
      await removeImmutableRule(sql, { repositories: "fixed/*", tags: "v*" });
      expect(await listImmutableRules(sql)).toEqual([]);
      const settings = new Settings(sql, clock);
      expect(await settings.readOnly()).toBeUndefined();
      await settings.setReadOnly("moving");
      await settings.setReadOnly("moving on");
      expect(await settings.readOnly()).toEqual({ reason: "moving on", sinceMs: now });
      await settings.setReadOnly(undefined);
      expect(await settings.readOnly()).toBeUndefined();
    });

    test("retention deletes what its plan says", async () => {
      for (const tag of ["dev-1", "dev-2", "dev-3"]) {
        now += 10;
        await push("keep/a", tag);
      }
      const rule = { name: "dev", repositories: "keep/*", tags: "dev-*", keepNewest: 1 };
      await setRetentionRule(sql, { ...rule, keepNewest: 2 });
      await setRetentionRule(sql, rule);
      expect(await listRetentionRules(sql)).toEqual([expect.objectContaining(rule)]);
      const decided = await decideRetention(sql, now);
      // Pushed again after the decision: left alone.
      now += 10;
      await push("keep/a", "dev-1", "dev-3");
      await applyRetention(metadata, decided, now - 5);
      expect(await metadata.tags("keep/a", { limit: 9 })).toEqual(["dev-1", "dev-3"]);
      await setRetentionRule(sql, {
        name: "dev",
        repositories: "keep/*",
        tags: "**",
        untaggedOlderThanMs: 1,
      });
      now += 1000;
      await applyRetention(metadata, await decideRetention(sql, now), now);
      expect(await sql.query("SELECT count(*) AS n FROM manifest WHERE repository = 'keep/a'")).toEqual([
        { n: 1 },
      ]);
      await removeRetentionRule(sql, "dev");
    });

    test("a delivery is taken by one of many, tried again, dies and is revived", async () => {
      const webhooks = new Webhooks(sql, clock);
      const hook = { url: "http://127.0.0.1:9/", secret: "s", actions: ["push"], repositories: "**" };
      await webhooks.add({ name: "ci", ...hook });
      await expect(webhooks.add({ name: "ci", ...hook })).rejects.toThrow("already");
      const queue = new DeliveryQueue(sql, clock);
      for (let i = 0; i < 20; i++) expect(await queue.add("ci", `{"n":${i}}`)).toBe(true);
      const taken = await Promise.all(
        Array.from({ length: 30 }, () => new DeliveryQueue(sql, clock).take("ci")),
      );
      const ids = taken.flatMap((one) => one?.id ?? []);
      // Those that come off badly find nothing this time; none gets what another has.
      expect(new Set(ids).size).toBe(ids.length);
      for (let one = await queue.take("ci"); one !== undefined; one = await queue.take("ci"))
        ids.push(one.id);
      expect(new Set(ids).size).toBe(20);
      const rest = taken.flatMap((one) => one ?? []);
      for (const one of rest.slice(1)) await queue.done(one, "204");
      const [last] = rest;
      if (last === undefined) throw new Error("nobody has taken one");
      expect(await queue.failed({ ...last, attempts: 1 }, "500")).toBe("again");
      expect(await queue.failed({ ...last, attempts: 12 }, "500")).toBe("dead");
      expect((await queue.counts()).dead).toBe(1);
      expect(await queue.revive("ci")).toBe(1);
      expect(await queue.nextMs("ci")).toBe(now);
      expect((await queue.log("ci", 99)).length).toBe(20);
      const text = await printStorage(sql);
      expect(text).toMatch(/^gantry_registry_webhook_waiting \d+$/m);
      expect(text).toMatch(/^gantry_registry_blob_bytes 6000000000$/m);
      await webhooks.remove("ci");
      expect(await queue.counts()).toEqual({ waiting: 0, dead: 0 });
    });

    test("pushes at one moment share what a quota leaves, and one of them gets an immutable tag", async () => {
      await setQuota(sql, { pattern: "race/*", maxBytes: 10_000, maxManifests: undefined, maxTags: 3 });
      await addImmutableRule(sql, { repositories: "race/*", tags: "fixed" });
      const quota = new QuotaGuard(sql, clock);
      const immutable = new ImmutableTagGuard(sql, clock);
      const outcomes = async (work: readonly Promise<unknown>[]): Promise<readonly string[]> =>
        (await Promise.allSettled(work)).flatMap((one) =>
          one.status === "rejected" ? [String(one.reason)] : [],
        );
      const linked = async (repository: string, i: number): Promise<void> => {
        const digest = sha256(`race ${i}`);
        await metadata.claimBlob(digest, now);
        await metadata.setBlobSize(digest, 3000);
        const step = await quota.linkBlob(context, repository, digest, 3000);
        await metadata.linkBlob(repository, digest, now, step === undefined ? [] : [step]);
      };
      const refused = await outcomes(
        Array.from({ length: 8 }, (_, i) => linked(i % 2 === 0 ? "race/a" : "race/b", i)),
      );
      expect(refused.length).toBe(5);
      expect(refused[0]).toContain("race/* may hold 10000 bytes, holds 9000, and this brings 3000");
      expect(await usageOf(sql, "race/*")).toMatchObject({ bytes: 9000, blobs: 3 });
      const pushed = async (tag: string, text: string): Promise<void> => {
        const bytes = Buffer.from(text);
        const manifest = { digest: sha256(bytes), mediaType, bytes };
        const wish = { repository: "race/a", manifest, tags: [tag], totalBytes: bytes.length };
        const steps = [await quota.putManifest(context, wish), await immutable.putManifest(context, wish)];
        await push(
          "race/a",
          tag,
          text,
          steps.flatMap((step) => step ?? []),
        );
      };
      expect(await outcomes(Array.from({ length: 6 }, (_, i) => pushed(`t${i}`, `text ${i}`)))).toHaveLength(
        3,
      );
      await setQuota(sql, { pattern: "race/*", maxBytes: 10_000, maxManifests: undefined, maxTags: 9 });
      now += 3000;
      const moved = await outcomes(Array.from({ length: 5 }, (_, i) => pushed("fixed", `fixed ${i}`)));
      expect(moved).toHaveLength(4);
      expect(moved.every((one) => one.includes("tag fixed of race/a is immutable"))).toBe(true);
    });

    test("an event is in the queue with its manifest, or not at all", async () => {
      const webhooks = new Webhooks(sql, clock);
      const hook = { url: "http://127.0.0.1:9/", secret: "s", actions: ["push"], repositories: "told/*" };
      await webhooks.add({ name: "told", ...hook });
      const queue = new DeliveryQueue(sql, clock);
      const heard: string[] = [];
      const notifier = new Notifier({
        webhooks,
        queue,
        source: { origin: "", address: "", instance: "i" },
        logger: createLogger("error", () => undefined),
        now: clock,
        sender: {
          async send(_webhook, _id, body) {
            heard.push(body);
            return { ok: true, result: "204" };
          },
        },
      });
      const event: RegistryEvent = {
        id: "event",
        atMs: now,
        action: "push",
        target: { repository: "told/a", digest: sha256("v1"), tag: "v1", kind: "manifest" },
        actor: context.identity,
        remote: "",
        requestId: "r",
        userAgent: "",
      };
      expect(await notifier.journal.open("push", "other/a")).toBeUndefined();
      const keep = await notifier.journal.open("push", "told/a");
      const step: CommitStep = async (tx) => keep?.(tx, event);
      const fails: CommitStep = async () => {
        throw new Error("no room");
      };
      await expect(push("told/a", "v1", "v1", [step, fails])).rejects.toThrow("no room");
      expect(await queue.counts()).toEqual({ waiting: 0, dead: 0 });
      await push("told/a", "v1", "v1", [step]);
      // A crash here, before anybody is told, loses nothing.
      expect(await queue.counts()).toEqual({ waiting: 1, dead: 0 });
      notifier.listen(event);
      for (let i = 0; i < 200 && (await queue.counts()).waiting > 0; i++) await Bun.sleep(10);
      expect(heard).toHaveLength(1);
      await notifier.close();
      await webhooks.remove("told");
    });

    test("a new key signs at every instance, the old one verifies until its tokens are over", async () => {
      const [one, two] = [await Tokens.open(sql, service, clock), await Tokens.open(sql, service, clock)];
      const scopes = [{ type: "repository", name: "a", actions: ["pull"] }] as const;
      const old = await one.issue("root", 1, scopes);
      expect((await two.verify(old))?.subject).toBe("root");
      await rotateSigningKey(sql, false, now);
      // The other instance has not read its keys again: it signs with the old one, and knows a token of the new one.
      const fresh = await (await Tokens.open(sql, service, clock)).issue("root", 2, scopes);
      expect(fresh.split(".")[0]).not.toBe(old.split(".")[0]);
      expect((await two.verify(fresh))?.epoch).toBe(2);
      now += 10_000;
      expect((await one.issue("root", 1, scopes)).split(".")[0]).toBe(fresh.split(".")[0]);
      expect((await one.verify(old))?.subject).toBe("root");
      now += 400_000;
      await rotateSigningKey(sql, false, now);
      expect(await listSigningKeys(sql)).toHaveLength(2);
      // A backup of the key that was, and a token of today by it: nothing.
      const held = await one.issue("root", 3, scopes);
      now += 10_000;
      expect((await one.verify(held))?.epoch).toBe(3);
      await rotateSigningKey(sql, true, now);
      expect(await listSigningKeys(sql)).toHaveLength(1);
      now += 10_000;
      expect(await one.verify(held)).toBeUndefined();
      expect((await one.verify(await two.issue("root", 4, scopes)))?.epoch).toBe(4);
    });
  });
}
