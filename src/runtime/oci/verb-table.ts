/**
 * The verbs, in groups that are read from the program only when one of theirs is called: reading all of them would take as
 * long as all the rest of `state`. Each group is a module `verbs-GROUP.ts` that offers its verbs.
 */
import { GantryError } from "../../lib/index.ts";
import type { Verb } from "./context.ts";

const groups: Readonly<Record<string, string>> = {
  checkpoint: "other",
  create: "begin",
  delete: "end",
  events: "other",
  exec: "exec",
  explain: "other",
  features: "other",
  kill: "end",
  list: "state",
  pause: "end",
  plan: "other",
  ps: "end",
  restore: "other",
  resume: "end",
  run: "begin",
  spec: "other",
  start: "state",
  state: "state",
  update: "other",
  validate: "other",
};

const offered = new Map<string, Verb>();

/** Called by a group's module. */
export function offerVerbs(verbs: Readonly<Record<string, Verb>>): void {
  for (const [name, verb] of Object.entries(verbs)) offered.set(name, verb);
}

export function verbOf(name: string): Verb {
  const group = groups[name];
  if (group !== undefined && !offered.has(name)) host.load(`verbs-${group}.js`);
  const verb = offered.get(name);
  if (verb === undefined) throw new GantryError("internal", `no module offers ${JSON.stringify(name)}`);
  return verb;
}
