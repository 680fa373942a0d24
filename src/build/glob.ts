/**
 * Patterns with wildcards, matched without backtracking: the pattern runs as a set of states over the text, so that the
 * time is bounded by pattern length times text length whatever a hostile Dockerfile or .dockerignore holds.
 */

/** What one step of a pattern accepts. */
type Step =
  | { readonly is: "char"; readonly char: string }
  /** Any one character but the separator. */
  | { readonly is: "one" }
  /** Any number of characters but the separator. */
  | { readonly is: "many" }
  /** Any number of characters, separators included. */
  | { readonly is: "all" }
  /** Nothing, or any characters that end with a separator: the `**` + `/` of .dockerignore. */
  | { readonly is: "folders" }
  | {
      readonly is: "class";
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

export interface Glob {
  readonly steps: readonly Step[];
  readonly separator: string;
}

export interface GlobOptions {
  /** The character that `*` and `?` do not match; empty: they match everything. */
  readonly separator: string;
  /** `**` crosses separators. */
  readonly doubleStar: boolean;
  /** `[a-z]` is a class; otherwise brackets are plain characters. */
  readonly classes: boolean;
}

/** Reads `[...]` at `at` (behind the bracket); undefined when it is malformed. */
function readClass(
  chars: readonly string[],
  at: number,
): { readonly step: Step; readonly next: number } | undefined {
  const negated = chars[at] === "^";
  const ranges: (readonly [string, string])[] = [];
  let i = negated ? at + 1 : at;
  const take = (): string | undefined => {
    if (chars[i] === "\\") i++;
    return chars[i++];
  };
  while (i < chars.length && (chars[i] !== "]" || ranges.length === 0)) {
    if (chars[i] === "-" || chars[i] === "]") return undefined;
    const low = take();
    let high = low;
    if (chars[i] === "-") {
      i++;
      if (chars[i] === "]" || chars[i] === "-") return undefined;
      high = take();
    }
    if (low === undefined || high === undefined) return undefined;
    ranges.push([low, high]);
  }
  return chars[i] === "]" ? { step: { is: "class", negated, ranges }, next: i + 1 } : undefined;
}

function readStars(
  chars: readonly string[],
  at: number,
  options: GlobOptions,
): { readonly step: Step; readonly next: number } {
  if (!options.doubleStar || chars[at + 1] !== "*") {
    return { step: options.separator === "" ? { is: "all" } : { is: "many" }, next: at + 1 };
  }
  const next = chars[at + 2] === options.separator ? at + 3 : at + 2;
  return { step: next >= chars.length ? { is: "all" } : { is: "folders" }, next };
}

/** @returns undefined when the pattern is malformed (a class without end, an escape with nothing behind it) */
export function compileGlob(pattern: string, options: GlobOptions): Glob | undefined {
  const chars = [...pattern];
  const steps: Step[] = [];
  for (let at = 0; at < chars.length;) {
    const char = chars[at] ?? "";
    const special =
      char === "*"
        ? readStars(chars, at, options)
        : char === "[" && options.classes
          ? readClass(chars, at + 1)
          : null;
    if (special === undefined) return undefined;
    if (special !== null) {
      steps.push(special.step);
      at = special.next;
    } else if (char === "\\") {
      const next = chars[at + 1];
      if (next === undefined) return undefined;
      steps.push({ is: "char", char: next });
      at += 2;
    } else {
      steps.push(char === "?" ? { is: "one" } : { is: "char", char });
      at++;
    }
  }
  return { steps, separator: options.separator };
}

function accepts(step: Step, char: string, separator: string): boolean {
  switch (step.is) {
    case "char":
      return step.char === char;
    case "one":
    case "many":
      return char !== separator;
    case "class":
      return (
        char !== separator && step.ranges.some(([low, high]) => low <= char && char <= high) !== step.negated
      );
    case "all":
    case "folders":
      return true;
  }
}

const repeats = (step: Step | undefined): boolean =>
  step?.is === "many" || step?.is === "all" || step?.is === "folders";

/** Marks state `at` and every state that is reached from there without a character. */
function enter(states: Uint8Array, steps: readonly Step[], at: number): void {
  let i = at;
  while (states[i] === 0) {
    states[i] = 1;
    if (!repeats(steps[i])) return;
    i++;
  }
}

/** One character: from the states before it to the states after it. */
function advance(glob: Glob, states: Uint8Array, char: string): Uint8Array {
  const { steps, separator } = glob;
  // A state 1 stands before step i; 2 is within a run of folders, which may only be left behind a separator.
  const next = new Uint8Array(steps.length + 1);
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i];
    if (states[i] === 0 || step === undefined || !accepts(step, char, separator)) continue;
    if (step.is === "folders") {
      if (char === separator) enter(next, steps, i + 1);
      if (next[i] === 0) next[i] = 2;
    } else if (repeats(step)) enter(next, steps, i);
    else enter(next, steps, i + 1);
  }
  return next;
}

/** Every length of `text`, from its start, that the pattern matches; shortest first. */
export function* matchingPrefixes(glob: Glob, text: readonly string[]): Generator<number> {
  let states: Uint8Array = new Uint8Array(glob.steps.length + 1);
  enter(states, glob.steps, 0);
  if (states[glob.steps.length] === 1) yield 0;
  for (let i = 0; i < text.length; i++) {
    states = advance(glob, states, text[i] ?? "");
    if (states[glob.steps.length] === 1) yield i + 1;
    else if (!states.some((s) => s !== 0)) return;
  }
}

/** True when the pattern matches the whole of `text`. */
export function matchGlob(glob: Glob, text: string): boolean {
  const chars = [...text];
  for (const length of matchingPrefixes(glob, chars)) if (length === chars.length) return true;
  return false;
}
