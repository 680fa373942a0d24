import { expect, test } from "bun:test";
import { sha256 } from "../../lib/index.ts";
import {
  type ManifestState,
  planRetention,
  printAge,
  type RepositoryState,
  type RetentionRule,
} from "./plan.ts";

const day = 86_400_000;
const now = 100 * day;
const digest = (name: string): ReturnType<typeof sha256> => sha256(name);
const never = (_repository: string, _tag: string): boolean => false;

const manifest = (name: string, ageDays: number, over: Partial<ManifestState> = {}): ManifestState => ({
  digest: digest(name),
  pushedMs: now - ageDays * day,
  pulledMs: undefined,
  children: [],
  subject: undefined,
  ...over,
});

const repository = (
  tags: Readonly<Record<string, number>>,
  manifests: readonly ManifestState[] = [],
): RepositoryState => ({
  name: "team/app",
  tags: Object.entries(tags).map(([tag, ageDays]) => ({
    tag,
    digest: digest(tag),
    updatedMs: now - ageDays * day,
  })),
  manifests: [...Object.entries(tags).map(([tag, ageDays]) => manifest(tag, ageDays)), ...manifests],
});

const rule = (over: Partial<RetentionRule>): RetentionRule => ({
  name: "r",
  repositories: "team/*",
  tags: "**",
  ...over,
});

const deleted = (rules: readonly RetentionRule[], state: RepositoryState, immutable = never): string[] =>
  planRetention(rules, state, now, immutable)
    .filter(({ action }) => action === "delete")
    .map(({ reference }) => reference);

test("the newest stay", () => {
  const state = repository({ v1: 4, v2: 3, v3: 2, v4: 1, latest: 9 });
  expect(deleted([rule({ tags: "v*", keepNewest: 2 })], state)).toEqual(["v2", "v1"]);
});

test("only what is old goes, and the newest stay whatever their age", () => {
  const state = repository({ v1: 40, v2: 35, v3: 1 });
  expect(deleted([rule({ olderThanMs: 30 * day })], state)).toEqual(["v2", "v1"]);
  expect(deleted([rule({ olderThanMs: 30 * day, keepNewest: 2 })], state)).toEqual(["v1"]);
});

test("what was pulled lately stays", () => {
  const state = repository({ v1: 40, v2: 35 });
  const pulled: RepositoryState = {
    ...state,
    manifests: state.manifests.map((one) =>
      one.digest === digest("v1") ? { ...one, pulledMs: now - day } : one,
    ),
  };
  expect(deleted([rule({ olderThanMs: 30 * day, pulledWithinMs: 7 * day })], pulled)).toEqual(["v2"]);
});

test("the first rule by name that matches a tag decides, immutable tags stay, other repositories too", () => {
  const state = repository({ "prod-1": 50, "dev-1": 50 });
  const rules = [
    rule({ name: "b", olderThanMs: day }),
    rule({ name: "a", tags: "prod-*", olderThanMs: 60 * day }),
  ];
  expect(deleted(rules, state)).toEqual(["dev-1"]);
  expect(deleted([rule({ olderThanMs: day })], state, (_, tag) => tag === "dev-1")).toEqual(["prod-1"]);
  expect(deleted([rule({ repositories: "other/*", olderThanMs: day })], state)).toEqual([]);
});

test("untagged manifests go when they are old and nothing holds them", () => {
  const state = repository({ v1: 50 }, [
    manifest("old", 40),
    manifest("young", 1),
    manifest("index", 1, { children: [digest("child")] }),
    manifest("child", 40),
    manifest("signature", 40, { subject: digest("v1") }),
    manifest("orphan", 40, { subject: digest("gone") }),
  ]);
  expect(deleted([rule({ untaggedOlderThanMs: 30 * day })], state)).toEqual([
    digest("old"),
    digest("orphan"),
  ]);
});

test("each decision says why", () => {
  const state = repository({ v1: 40, v2: 1 });
  expect(planRetention([rule({ keepNewest: 1, olderThanMs: 30 * day })], state, now, never)).toEqual([
    {
      repository: "team/app",
      kind: "tag",
      reference: "v2",
      rule: "r",
      action: "keep",
      why: "number 1 of the newest 1",
    },
    {
      repository: "team/app",
      kind: "tag",
      reference: "v1",
      rule: "r",
      action: "delete",
      why: "number 2, beyond the newest 1; pushed 40d ago, more than 30d",
    },
  ]);
  expect([0, 1500, 60_000, 90_000, 3_600_000, 86_400_000, 5 * 86_400_000].map(printAge)).toEqual([
    "0s",
    "1s",
    "1m",
    "90s",
    "1h",
    "1d",
    "5d",
  ]);
});
