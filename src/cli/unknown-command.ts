/** What to say about a command that does not exist. Pure. */
import { commands, everyGroup, groups } from "./commands.ts";

/** Commands of docker that are not here, and what to use instead. */
const absent: Readonly<Record<string, string>> = {
  compose: "use docker compose with DOCKER_HOST=unix:///run/gantry/engine.sock",
  buildx: "build with: gantry build",
};

/** @param depth how many words of the path are known: they name a group */
export function explainUnknown(path: readonly string[], depth: number): string {
  const inside = path.slice(0, depth);
  const word = path[depth] ?? "";
  const group = everyGroup().find(([of]) => depth > 0 && of.join(" ") === inside.join(" "))?.[1];
  const known =
    group === undefined ? [...Object.keys(commands), ...Object.keys(groups)] : Object.keys(group.members);
  const where = ["gantry", ...inside].join(" ");
  const advice = absent[word] ?? closest(word, known, group === undefined ? "" : `${inside.join(" ")} `);
  const hint = advice === undefined ? "" : `hint: ${advice}\n`;
  const usage = group === undefined ? "" : `Usage:  ${where} COMMAND\n\n`;
  return `gantry: unknown command: ${where} ${word}\n${hint}\n${usage}Run '${where} --help' for more information\n`;
}

function closest(word: string, known: readonly string[], prefix: string): string | undefined {
  const best = known
    .map((name) => ({
      name,
      distance: name.startsWith(word) && word.length > 1 ? 0.5 : distance(word, name),
    }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(1, word.length / 3)
    ? `did you mean: gantry ${prefix}${best.name}`
    : undefined;
}

/** Edits (insert, delete, replace, swap of neighbours counts two) that lead from `a` to `b`. */
function distance(a: string, b: string): number {
  if (a.length > 32) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? Infinity;
}
