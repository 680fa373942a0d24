/** gantry registry quota …, immutable …, retention …, read-only: the rules of the house. */
import {
  addImmutableRule,
  listImmutableRules,
  listQuotas,
  listRetentionRules,
  parsePeriod,
  parseSize,
  printAge,
  removeImmutableRule,
  removeQuota,
  removeRetentionRule,
  type RetentionRule,
  setQuota,
  setRetentionRule,
} from "../../../registry/index.ts";
import type { CommandSpec } from "../../command.ts";
import { CliError } from "../../errors.ts";
import type { FlagValues } from "../../flags/parse-flags.ts";
import { binarySize } from "../../format/human.ts";
import { listFormat } from "../list-flags.ts";
import { doing, placeFlags, printRows, quiet, withAdmin } from "./with-admin.ts";

export const setQuotaCommand = doing(
  {
    usage: "[OPTIONS] PATTERN",
    summary: "Bound what repositories may hold",
    about:
      "All repositories that match PATTERN share the bytes and the counts. What is given replaces what was set for that\npattern; pushes beyond are refused with the figures. What several of them have in common counts once.",
    examples: [
      ["gantry registry quota set --size 50g 'team/**'", "all of team's repositories together"],
      ["gantry registry quota set --size 5g --tags 100 team/app", "one repository"],
    ],
    flags: [
      { name: "size", kind: "string", help: "Bytes of manifests and blobs (50g)" },
      { name: "manifests", kind: "int", help: "Number of manifests" },
      { name: "tags", kind: "int", help: "Number of tags" },
    ],
    args: [1, 1],
  },
  async (admin, { args: [pattern = ""], flags }) => {
    const count = (name: string): number | undefined => (flags.has(name) ? flags.number(name) : undefined);
    const maxBytes = flags.has("size") ? parseSize(flags.text("size")) : undefined;
    await setQuota(admin.sql, {
      pattern,
      maxBytes,
      maxManifests: count("manifests"),
      maxTags: count("tags"),
    });
    await admin.note("quota set", pattern);
    return "";
  },
);

export const removeQuotaCommand = doing(
  { usage: "PATTERN", summary: "Remove a quota", args: [1, 1] },
  async (admin, { args: [pattern = ""] }) => {
    await removeQuota(admin.sql, pattern);
    await admin.note("quota rm", pattern);
    return "";
  },
);

export const listQuotasCommand: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List quotas and how much of each is used",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const rows = await withAdmin(call, async (admin) => {
      const of = (used: number, limit: number | undefined, print: (n: number) => string = String): string =>
        limit === undefined ? print(used) : `${print(used)} / ${print(limit)}`;
      const quotas = await listQuotas(admin.sql);
      return Promise.all(
        quotas.map(async (quota) => {
          const usage = await admin.usage(quota.pattern);
          return {
            Pattern: quota.pattern,
            Size: of(usage.bytes, quota.maxBytes, binarySize),
            Manifests: of(usage.manifests, quota.maxManifests),
            Tags: of(usage.tags, quota.maxTags),
          };
        }),
      );
    });
    await printRows(call, { Pattern: "PATTERN", Size: "SIZE", Manifests: "MANIFESTS", Tags: "TAGS" }, rows);
    return 0;
  },
};

const splitTagPattern = (text: string): { readonly repositories: string; readonly tags: string } => {
  const at = text.lastIndexOf(":");
  if (at <= 0)
    throw new CliError(`${JSON.stringify(text)} is no REPOSITORIES:TAGS`, {
      hint: "for example 'team/*:v*'",
    });
  return { repositories: text.slice(0, at), tags: text.slice(at + 1) };
};

export const addImmutable = doing(
  {
    usage: "REPOSITORIES:TAGS",
    summary: "Forbid tags to be moved or removed",
    about: "Both are patterns. A tag that exists may be pushed again only as the same manifest.",
    examples: [["gantry registry immutable add 'team/**:v*'", "releases stay what they are"]],
    args: [1, 1],
  },
  async (admin, { args: [text = ""] }) => {
    await addImmutableRule(admin.sql, splitTagPattern(text));
    await admin.note("immutable add", text);
    return "";
  },
);

export const removeImmutable = doing(
  { usage: "REPOSITORIES:TAGS", summary: "Let tags be moved again", args: [1, 1] },
  async (admin, { args: [text = ""] }) => {
    await removeImmutableRule(admin.sql, splitTagPattern(text));
    await admin.note("immutable rm", text);
    return "";
  },
);

export const listImmutable: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List patterns of immutable tags",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const rules = await withAdmin(call, ({ sql }) => listImmutableRules(sql));
    const rows = rules.map(({ repositories, tags }) => ({ Repositories: repositories, Tags: tags }));
    await printRows(call, { Repositories: "REPOSITORIES", Tags: "TAGS" }, rows);
    return 0;
  },
};

export const setRetention = doing(
  {
    usage: "[OPTIONS] NAME",
    summary: "Set a retention rule",
    about:
      "Each tag is decided by the first rule, by name, whose patterns match it. With --keep-newest and --older-than a tag\ngoes when it is beyond the newest and older. Immutable tags stay.",
    examples: [
      [
        "gantry registry retention set --repositories 'team/**' --tags 'dev-*' --keep-newest 10 dev",
        "the last ten builds",
      ],
      [
        "gantry registry retention set --untagged-older-than 14d untagged",
        "what no tag points to, after two weeks",
      ],
    ],
    flags: [
      { name: "repositories", kind: "string", preset: "**", help: "Pattern of repositories" },
      { name: "tags", kind: "string", preset: "**", help: "Pattern of tags" },
      { name: "keep-newest", kind: "int", help: "So many of the newest tags stay" },
      { name: "older-than", kind: "string", help: "Only tags pushed longer ago go (30d)" },
      { name: "pulled-within", kind: "string", help: "What was pulled since stays (30d)" },
      { name: "untagged-older-than", kind: "string", help: "Manifests without a tag go after so long (14d)" },
    ],
    args: [1, 1],
  },
  async (admin, { args: [name = ""], flags }) => {
    await setRetentionRule(admin.sql, ruleOf(name, flags));
    await admin.note("retention set", name);
    return "";
  },
);

function ruleOf(name: string, flags: FlagValues): RetentionRule {
  const period = (flag: string): number | undefined =>
    flags.has(flag) ? parsePeriod(flags.text(flag)) : undefined;
  return {
    name,
    repositories: flags.text("repositories", "**"),
    tags: flags.text("tags", "**"),
    keepNewest: flags.has("keep-newest") ? flags.number("keep-newest") : undefined,
    olderThanMs: period("older-than"),
    pulledWithinMs: period("pulled-within"),
    untaggedOlderThanMs: period("untagged-older-than"),
  };
}

export const removeRetention = doing(
  { usage: "NAME", summary: "Remove a retention rule", args: [1, 1] },
  async (admin, { args: [name = ""] }) => {
    await removeRetentionRule(admin.sql, name);
    await admin.note("retention rm", name);
    return "";
  },
);

export const listRetention: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List retention rules",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const rules = await withAdmin(call, ({ sql }) => listRetentionRules(sql));
    const age = (ms: number | undefined): string => (ms === undefined ? "" : printAge(ms));
    await printRows(
      call,
      {
        Name: "NAME",
        Repositories: "REPOSITORIES",
        Tags: "TAGS",
        KeepNewest: "KEEP NEWEST",
        OlderThan: "OLDER THAN",
        PulledWithin: "PULLED WITHIN",
        Untagged: "UNTAGGED OLDER THAN",
      },
      rules.map((rule) => ({
        Name: rule.name,
        Repositories: rule.repositories,
        Tags: rule.tags,
        KeepNewest: rule.keepNewest ?? "",
        OlderThan: age(rule.olderThanMs),
        PulledWithin: age(rule.pulledWithinMs),
        Untagged: age(rule.untaggedOlderThanMs),
      })),
    );
    return 0;
  },
};

const decisionHeaders = {
  Repository: "REPOSITORY",
  Kind: "KIND",
  Reference: "REFERENCE",
  Action: "ACTION",
  Rule: "RULE",
  Why: "WHY",
};

const retentionCommand = (really: boolean, summary: string): CommandSpec => ({
  usage: "[OPTIONS]",
  summary,
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const decisions = await withAdmin(call, async (admin) => {
      const decided = await (really ? admin.runRetention() : admin.planRetention());
      if (really)
        await admin.note(
          "retention run",
          `${decided.filter(({ action }) => action === "delete").length} deleted`,
        );
      return decided;
    });
    const shown = really ? decisions.filter(({ action }) => action === "delete") : decisions;
    await printRows(
      call,
      decisionHeaders,
      shown.map((one) => ({
        Repository: one.repository,
        Kind: one.kind,
        Reference: one.reference,
        Action: one.action,
        Rule: one.rule,
        Why: one.why,
      })),
    );
    return 0;
  },
});

export const planRetentionCommand = retentionCommand(false, "Show what retention would do, and why");
export const runRetentionCommand = retentionCommand(true, "Delete what the rules say, now");

export const readOnly = doing(
  {
    usage: "[OPTIONS] on|off",
    summary: "Let nothing be pushed or deleted for a while",
    about: "Counts within a second, in all instances, without a restart. Pulls go on.",
    examples: [["gantry registry read-only on --reason 'moving to a new disk'", "clients are told why"]],
    flags: [{ name: "reason", kind: "string", help: "What clients are told" }],
    args: [1, 1],
  },
  async (admin, { args: [word = ""], flags }) => {
    if (word !== "on" && word !== "off") throw new CliError(`${JSON.stringify(word)} is neither on nor off`);
    await admin.switches.setReadOnly(word === "on" ? flags.text("reason") : undefined);
    await admin.note("read-only", word);
    return "";
  },
);
