/** Retention as a pure decision: what goes and what stays, and why, from rules and what there is. */
import type { Digest } from "../../lib/index.ts";
import { matchesPattern } from "../access/pattern.ts";

export interface RetentionRule {
  readonly name: string;
  /** Pattern of repositories. */
  readonly repositories: string;
  /** Pattern of tags; the first rule (by name) that matches decides. */
  readonly tags: string;
  /** The newest so many stay. */
  readonly keepNewest?: number | undefined;
  /** Only what was last pushed longer ago goes. */
  readonly olderThanMs?: number | undefined;
  /** What was pulled since stays. */
  readonly pulledWithinMs?: number | undefined;
  /** Manifests without a tag go when they were pushed longer ago. */
  readonly untaggedOlderThanMs?: number | undefined;
}

export interface TagState {
  readonly tag: string;
  readonly digest: Digest;
  readonly updatedMs: number;
}

export interface ManifestState {
  readonly digest: Digest;
  readonly pushedMs: number;
  readonly pulledMs: number | undefined;
  /** Manifests that it names: what an index holds. */
  readonly children: readonly Digest[];
  readonly subject: Digest | undefined;
}

export interface RepositoryState {
  readonly name: string;
  readonly tags: readonly TagState[];
  readonly manifests: readonly ManifestState[];
}

export interface Decision {
  readonly repository: string;
  readonly kind: "tag" | "manifest";
  /** A tag or a digest. */
  readonly reference: string;
  readonly action: "keep" | "delete";
  readonly rule: string;
  readonly why: string;
}

/** @param isImmutable tags that nobody may take away */
export function planRetention(
  rules: readonly RetentionRule[],
  repository: RepositoryState,
  nowMs: number,
  isImmutable: (repository: string, tag: string) => boolean,
): readonly Decision[] {
  const mine = rules
    .filter((rule) => matchesPattern(rule.repositories, repository.name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const pulled = new Map(repository.manifests.map(({ digest, pulledMs }) => [digest, pulledMs]));
  const left = new Set(repository.tags);
  const decisions: Decision[] = [];
  for (const rule of mine.filter(rulesTags)) {
    const matched = [...left].filter(({ tag }) => matchesPattern(rule.tags, tag));
    for (const one of matched) left.delete(one);
    const newestFirst = matched.toSorted((a, b) => b.updatedMs - a.updatedMs || (a.tag < b.tag ? -1 : 1));
    for (const [rank, one] of newestFirst.entries()) {
      const why = isImmutable(repository.name, one.tag)
        ? keep("the tag is immutable")
        : decideTag(rule, rank, nowMs - one.updatedMs, ageOf(pulled.get(one.digest), nowMs));
      decisions.push({
        repository: repository.name,
        kind: "tag",
        reference: one.tag,
        rule: rule.name,
        ...why,
      });
    }
  }
  return [...decisions, ...decideUntagged(mine, repository, nowMs)];
}

type Verdict = Pick<Decision, "action" | "why">;
const keep = (why: string): Verdict => ({ action: "keep", why });
const remove = (why: string): Verdict => ({ action: "delete", why });

const rulesTags = (rule: RetentionRule): boolean =>
  rule.keepNewest !== undefined || rule.olderThanMs !== undefined;

const ageOf = (atMs: number | undefined, nowMs: number): number | undefined =>
  atMs === undefined ? undefined : nowMs - atMs;

function decideTag(
  rule: RetentionRule,
  rank: number,
  ageMs: number,
  pulledAgeMs: number | undefined,
): Verdict {
  const { keepNewest, olderThanMs, pulledWithinMs } = rule;
  if (keepNewest !== undefined && rank < keepNewest)
    return keep(`number ${rank + 1} of the newest ${keepNewest}`);
  if (olderThanMs !== undefined && ageMs < olderThanMs)
    return keep(`pushed ${printAge(ageMs)} ago, less than ${printAge(olderThanMs)}`);
  if (pulledWithinMs !== undefined && pulledAgeMs !== undefined && pulledAgeMs < pulledWithinMs)
    return keep(`pulled ${printAge(pulledAgeMs)} ago, within ${printAge(pulledWithinMs)}`);
  const reasons = [
    ...(keepNewest === undefined ? [] : [`number ${rank + 1}, beyond the newest ${keepNewest}`]),
    ...(olderThanMs === undefined
      ? []
      : [`pushed ${printAge(ageMs)} ago, more than ${printAge(olderThanMs)}`]),
    ...(pulledWithinMs === undefined ? [] : [`not pulled within ${printAge(pulledWithinMs)}`]),
  ];
  return remove(reasons.join("; "));
}

/** Untagged manifests: what a tag, an index or a referrer's life hangs on is not for itself. */
function decideUntagged(
  rules: readonly RetentionRule[],
  repository: RepositoryState,
  nowMs: number,
): readonly Decision[] {
  const rule = rules.find(({ untaggedOlderThanMs }) => untaggedOlderThanMs !== undefined);
  const limitMs = rule?.untaggedOlderThanMs;
  if (rule === undefined || limitMs === undefined) return [];
  const there = new Set(repository.manifests.map(({ digest }) => digest));
  const held = new Set<Digest>([
    ...repository.tags.map(({ digest }) => digest),
    ...repository.manifests.flatMap(({ children }) => children),
  ]);
  return repository.manifests
    .filter(({ digest, subject }) => !held.has(digest) && (subject === undefined || !there.has(subject)))
    .map((manifest) => {
      const ageMs = nowMs - manifest.pushedMs;
      const pulledAgeMs = ageOf(manifest.pulledMs, nowMs);
      const verdict =
        ageMs < limitMs
          ? keep(`untagged, pushed ${printAge(ageMs)} ago, less than ${printAge(limitMs)}`)
          : rule.pulledWithinMs !== undefined &&
              pulledAgeMs !== undefined &&
              pulledAgeMs < rule.pulledWithinMs
            ? keep(`untagged, pulled ${printAge(pulledAgeMs)} ago`)
            : remove(`untagged, pushed ${printAge(ageMs)} ago, more than ${printAge(limitMs)}`);
      return {
        repository: repository.name,
        kind: "manifest" as const,
        reference: manifest.digest,
        rule: rule.name,
        ...verdict,
      };
    });
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** `3d`, `5h`: the largest unit that it fills twice, or that it fills exactly. */
export function printAge(ms: number): string {
  const unit = units.find(([, size]) => ms >= 2 * size || (ms >= size && ms % size === 0));
  return unit === undefined
    ? `${Math.max(0, Math.floor(ms / 1000))}s`
    : `${Math.floor(ms / unit[1])}${unit[0]}`;
}
