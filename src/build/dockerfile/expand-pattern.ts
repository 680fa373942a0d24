/** `${name#pattern}`, `${name%pattern}` and `${name/pattern/replacement}` (Dockerfile reference, "Environment replacement"). */
import { compileGlob, type Glob, matchingPrefixes } from "../glob.ts";

export interface PatternRequest {
  /** `##`, `%%`, `//`: the longest match, or every match. */
  readonly double: boolean;
  readonly pattern: string;
  readonly replacement: string;
  readonly value: string;
  /** Told what the work costs before it is done; may throw. */
  readonly spend: (steps: number) => void;
}

/** Pattern steps times characters that one replacement may try; beyond that the pattern is refused. */
const maxWork = 20_000_000;

function lastOf(numbers: Iterable<number>): number | undefined {
  let last: number | undefined;
  for (const n of numbers) last = n;
  return last;
}

function trimPrefix(glob: Glob, value: readonly string[], longest: boolean): string {
  const prefixes = matchingPrefixes(glob, value);
  const length = longest ? lastOf(prefixes) : prefixes.next().value;
  return value.slice(length ?? 0).join("");
}

function replace(glob: Glob, value: readonly string[], request: PatternRequest): string {
  let out = "";
  for (let at = 0; at < value.length;) {
    const length = lastOf(matchingPrefixes(glob, value.slice(at)));
    if (length !== undefined && length > 0) {
      out += request.replacement;
      at += length;
      if (!request.double) return out + value.slice(at).join("");
    } else out += value[at++] ?? "";
  }
  return out;
}

/** @returns undefined when the pattern is malformed or too costly */
export function expandPattern(modifier: "#" | "%" | "/", request: PatternRequest): string | undefined {
  // `\}` and `\/` are there for the braces; they mean the character itself, as every other escape does.
  const glob = compileGlob(request.pattern, { separator: "", doubleStar: false, classes: false });
  if (glob === undefined) return undefined;
  const value = [...request.value];
  const work = (modifier === "/" ? value.length : 1) * value.length * (glob.steps.length + 1);
  if (work > maxWork) return undefined;
  request.spend(work * 5);
  if (modifier === "/") return replace(glob, value, request);
  if (modifier === "#") return trimPrefix(glob, value, request.double);
  // A suffix is a prefix of everything reversed.
  const reversed: Glob = { ...glob, steps: glob.steps.toReversed() };
  return [...trimPrefix(reversed, value.toReversed(), request.double)].toReversed().join("");
}
