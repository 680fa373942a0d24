import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Action, Scope } from "../types.ts";
import { checkPattern, matchesPattern } from "./pattern.ts";
import { type Account, covers, grant, isUsable } from "./rights.ts";
import { parseScope, parseScopes, printScope } from "./scope.ts";

test.each([
  ["repository:team/app:pull,push", { type: "repository", name: "team/app", actions: ["pull", "push"] }],
  ["repository(plugin):team/app:pull", { type: "repository", name: "team/app", actions: ["pull"] }],
  ["repository:a:*", { type: "repository", name: "a", actions: ["*"] }],
  ["registry:catalog:*", { type: "registry", name: "catalog", actions: ["*"] }],
] as const)("scope %s", (text, scope) => {
  expect(parseScope(text)).toEqual({ ...scope, actions: [...scope.actions] });
});

test.each([
  "",
  "repository",
  "repository:team/app",
  "repository::pull",
  ":a:pull",
  "repository:a:",
  "repository:a:pull,",
  "repository:a:admin",
  "repository:a:pull;push",
  "repository:A:pull",
  "repository:a/../b:pull",
  "repository:a//b:pull",
  "repository:/a:pull",
  "repository:a/:pull",
  "repository:a%2fb:pull",
  "repository:*:pull",
  "repository:team/*:pull",
  "repository:a\nb:pull",
  'repository:a":pull',
  "repository:a:b:pull",
  "registry:other:*",
  "registry:catalog:root",
  "user:a:pull",
  `repository:${"a".repeat(256)}:pull`,
])("%j is no scope", (text) => {
  expect(parseScope(text)).toBeUndefined();
});

test("several scopes in several parameters, bounded", () => {
  expect(
    parseScopes(["repository:a:pull repository:b:push", "nonsense", "repository:c:pull"]).map(printScope),
  ).toEqual(["repository:a:pull", "repository:b:push", "repository:c:pull"]);
  expect(
    parseScopes([Array.from({ length: 1000 }, (_, i) => `repository:a${i}:pull`).join(" ")]),
  ).toHaveLength(32);
});

test("what a scope prints is read back as it was", () => {
  const actions = fc.uniqueArray(fc.constantFrom<Action>("pull", "push", "delete"), { minLength: 1 });
  const names = fc.constantFrom("a", "team/app", "a--b/c__d", "0/1.2");
  fc.assert(
    fc.property(names, actions, (name, list) => {
      const scope: Scope = { type: "repository", name, actions: list };
      expect(parseScope(printScope(scope))).toEqual(scope);
    }),
  );
});

test.each([
  ["team/*", "team/app", true],
  ["team/*", "team/app/sub", false],
  ["team/**", "team/app/sub", true],
  ["team/**", "team", false],
  ["team/*", "steam/app", false],
  ["team/*", "team/", true],
  ["**", "any/thing/at/all", true],
  ["*", "any", true],
  ["*", "any/thing", false],
  ["v?.*", "v1.22", true],
  ["v?", "v", false],
  ["a.c", "abc", false],
  ["*-prod", "x-prod", true],
  ["a*b*c", "aXbYc", true],
  ["**/app", "x/y/app", true],
  ["", "", true],
] as const)("pattern %s, %s: %p", (pattern, text, wanted) => {
  expect(matchesPattern(pattern, text)).toBe(wanted);
});

test("no pattern takes long", () => {
  const started = performance.now();
  matchesPattern("*a".repeat(127), "a".repeat(255));
  expect(performance.now() - started).toBeLessThan(200);
  expect(() => checkPattern("a b", "repositories")).toThrow("is no pattern of repositories");
  expect(() => checkPattern("(a+)+", "repositories")).toThrow();
});

const account = (over: Partial<Account> = {}): Account => ({
  name: "alice",
  kind: "user",
  admin: false,
  secret: "",
  createdMs: 0,
  expiresMs: undefined,
  disabled: false,
  epoch: 1,
  rights: [],
  ...over,
});

const granted = (
  who: Account | undefined,
  text: string,
  open: readonly string[] = [],
): string | undefined => {
  const scope = parseScope(text);
  const found = scope === undefined ? undefined : grant(who, open, scope);
  return found === undefined ? undefined : printScope(found);
};

test("rights are the union of all patterns that match, and no more", () => {
  const alice = account({
    rights: [
      { pattern: "team/*", actions: ["pull"] },
      { pattern: "team/app", actions: ["push"] },
    ],
  });
  expect(granted(alice, "repository:team/app:pull,push,delete")).toBe("repository:team/app:pull,push");
  expect(granted(alice, "repository:team/other:pull,push")).toBe("repository:team/other:pull");
  expect(granted(alice, "repository:team/app:*")).toBe("repository:team/app:pull,push");
  expect(granted(alice, "repository:other:pull")).toBeUndefined();
  expect(granted(alice, "registry:catalog:*")).toBeUndefined();
  expect(granted(alice, "repository:open/x:pull,push", ["open/*"])).toBe("repository:open/x:pull");
  expect(granted(undefined, "repository:open/x:pull,push", ["open/*"])).toBe("repository:open/x:pull");
  expect(granted(undefined, "repository:x:pull", ["open/*"])).toBeUndefined();
  const admin = account({ admin: true });
  expect(granted(admin, "repository:x:*")).toBe("repository:x:*,pull,push,delete");
  expect(granted(admin, "registry:catalog:*")).toBe("registry:catalog:*");
});

test("a grant covers what it names, and a star only where a star was granted", () => {
  const pull: Scope = { type: "repository", name: "a", actions: ["pull"] };
  const star: Scope = { type: "repository", name: "a", actions: ["*"] };
  expect(covers([pull], pull)).toBe(true);
  expect(covers([pull], { ...pull, name: "b" })).toBe(false);
  expect(covers([pull], star)).toBe(false);
  expect(covers([pull, { ...pull, actions: ["push"] }], { ...pull, actions: ["pull", "push"] })).toBe(true);
  expect(covers([], { ...pull, actions: [] })).toBe(true);
});

test("an account is usable until it is disabled or over", () => {
  expect(isUsable(account(), 5)).toBe(true);
  expect(isUsable(account({ disabled: true }), 5)).toBe(false);
  expect(isUsable(account({ expiresMs: 5 }), 5)).toBe(false);
  expect(isUsable(account({ expiresMs: 6 }), 5)).toBe(true);
});
