/** The rules of a profile by call, free of any architecture: what each call's treatment is. */
import { GantryError } from "../../lib/index.ts";
import { actionValue } from "./actions.ts";
import { multiplexed } from "./multiplexed.ts";
import type { SeccompArgument, SeccompProfile } from "./profile.ts";
import { syscallIndexes } from "./syscalls.ts";

/** The comparisons that must all hold for an action. */
export interface Alternative {
  readonly args: readonly SeccompArgument[];
  readonly action: number;
}

/**
 * Calls stand for their places in the tables' rows. A rule without arguments decides a call alone, and the first such rule
 * does; else the first alternative that holds, else the default. A rule whose action is the default's is none, but its calls
 * are known to the profile's author. All as libseccomp and runc have it.
 */
export interface Rules {
  readonly byDefault: number;
  readonly plain: ReadonlyMap<number, number>;
  readonly conditional: ReadonlyMap<number, readonly Alternative[]>;
  /** Every call that the profile names. */
  readonly named: ReadonlySet<number>;
}

/** @throws {GantryError} "invalid" for an unknown action or an errno out of range */
export function rulesOf(profile: SeccompProfile): Rules {
  const indexes = syscallIndexes();
  const byDefault = actionValue(profile.defaultAction, profile.defaultErrnoRet);
  const plain = new Map<number, number>();
  const conditional = new Map<number, Alternative[]>();
  const named = new Set<number>();
  for (const rule of profile.syscalls ?? []) {
    const action = actionValue(rule.action, rule.errnoRet);
    const alternatives = conjunctions(rule.args ?? []).map((args) => ({ args, action }));
    const inert = action === byDefault;
    for (const name of rule.names) {
      if (name === "")
        throw new GantryError("invalid", "linux.seccomp.syscalls: an empty text is no system call");
      const index = indexes.get(name);
      if (index === undefined) continue;
      named.add(index);
      if (inert) continue;
      if (alternatives.length > 0) {
        const list = conditional.get(index);
        if (list === undefined) conditional.set(index, [...alternatives]);
        else list.push(...alternatives);
      } else if (!plain.has(index)) plain.set(index, action);
    }
  }
  return { byDefault, plain, conditional, named };
}

/** All comparisons of a rule must hold; but if an index occurs twice, each is an alternative of its own. */
function conjunctions(args: readonly SeccompArgument[]): readonly (readonly SeccompArgument[])[] {
  if (args.length === 0) return [];
  const repeated = new Set(args.map((argument) => argument.index)).size < args.length;
  return repeated ? args.map((argument) => [argument]) : [args];
}

/** What the rules without arguments say about the calls inside socketcall(2) or ipc(2): its first argument tells which. */
export function throughMultiplexer(rules: Rules, call: "socketcall" | "ipc"): readonly Alternative[] {
  const indexes = syscallIndexes();
  const found: Alternative[] = [];
  for (const name of Object.keys(multiplexed[call])) {
    const action = rules.plain.get(indexes.get(name) ?? -1);
    const value = multiplexed[call][name] ?? 0;
    if (action !== undefined) found.push({ args: [{ index: 0, value, op: "SCMP_CMP_EQ" }], action });
  }
  return found;
}
