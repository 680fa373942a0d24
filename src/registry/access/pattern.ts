/**
 * Patterns of repositories and tags: `*` is any run of characters within one path component, `**` any run at all, `?` one
 * character; everything else is itself. `team/*` is every repository directly below team, `team/**` every one below it.
 */
import { GantryError } from "../../lib/index.ts";

const allowed = /^[A-Za-z0-9._/*?-]{1,255}$/;

/** @throws {GantryError} "invalid" */
export function checkPattern(text: string, what: string): string {
  if (!allowed.test(text)) {
    throw new GantryError("invalid", `${JSON.stringify(text.slice(0, 80))} is no pattern of ${what}`, {
      hint: "letters, digits, . _ - / and the wildcards * (within a component), ** (across) and ?",
    });
  }
  return text;
}

/** Matches in time proportional to both lengths, whatever the pattern. */
export function matchesPattern(pattern: string, text: string): boolean {
  // reached[j]: the part of the pattern read so far matches the first j characters of the text.
  let reached = Array.from({ length: text.length + 1 }, (_, j) => j === 0);
  for (let i = 0; i < pattern.length; i++) {
    const letter = pattern.charAt(i);
    const across = letter === "*" && pattern.charAt(i + 1) === "*";
    if (across) i++;
    reached = letter === "*" ? spread(reached, text, across) : step(reached, text, letter);
  }
  return reached[text.length] === true;
}

function spread(reached: readonly boolean[], text: string, across: boolean): boolean[] {
  const next = [reached[0] === true];
  for (let j = 1; j <= text.length; j++)
    next.push(reached[j] === true || (next[j - 1] === true && (across || text.charAt(j - 1) !== "/")));
  return next;
}

function step(reached: readonly boolean[], text: string, letter: string): boolean[] {
  const next = [false];
  for (let j = 1; j <= text.length; j++) {
    const here = text.charAt(j - 1);
    next.push(reached[j - 1] === true && (letter === "?" ? here !== "/" : here === letter));
  }
  return next;
}
