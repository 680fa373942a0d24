/**
 * A seccomp profile to a filter program. What the kernel runs at every system call:
 *
 *     load arch; for each architecture: equal -> its section; else kill
 *     section:   load nr; binary search over ranges of numbers with equal treatment -> the treatment
 *     treatment: return an action, or compare arguments, rule by rule, and return
 *
 * Of several rules for one call those with arguments come first, in their order, then the first without; where none holds,
 * the default action. A number above all that the profile names is a call that its author did not know: it gets ENOSYS
 * instead of an errno of the default action, so that programs fall back to older calls (as runc does).
 */
import { GantryError } from "../../lib/index.ts";
import { actionValue, ENOSYS, killProcess } from "./actions.ts";
import { Assembler, type Label, opcode } from "./assembler.ts";
import { writeCondition } from "./conditions.ts";
import type { SeccompArgument, SeccompProfile, SeccompRule } from "./profile.ts";
import { type AuditArch, syscallNumbers } from "./syscalls.ts";

/** AUDIT_ARCH_*, linux/audit.h */
const auditValues: Readonly<Record<AuditArch, number>> = {
  x86_64: 0xc000003e,
  x86: 0x40000003,
  aarch64: 0xc00000b7,
};
/** The architectures of the specification that we have tables for. x32 calls are refused, see below; others are killed. */
const specArchitectures: Readonly<Record<string, AuditArch>> = {
  SCMP_ARCH_X86_64: "x86_64",
  SCMP_ARCH_X86: "x86",
  SCMP_ARCH_AARCH64: "aarch64",
};
/** On x86_64: the bit of x32 calls, which would go past every rule. */
const x32Bit = 0x40000000;

const numberOffset = 0;
const archOffset = 4;

const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};

/** One way to treat a call: alternatives in order, then what remains. */
interface Treatment {
  readonly alternatives: readonly { readonly args: readonly SeccompArgument[]; readonly action: number }[];
  readonly otherwise: number;
}

export interface CompiledSeccomp {
  /** `struct sock_filter[]` */
  readonly program: Uint8Array;
  /** For seccomp(2). */
  readonly flags: number;
}

function nativeArch(): "x86_64" | "aarch64" {
  return process.arch === "arm64" ? "aarch64" : "x86_64";
}

/** Programs of profile objects that were compiled before: the engine starts every container with the same few. */
const compiled = new WeakMap<SeccompProfile, Map<AuditArch, CompiledSeccomp>>();

/**
 * The program for a profile, which must not be changed afterwards: the answer is kept with the object.
 * @throws {GantryError} "invalid" for an unknown action, operator or flag, an errno or index out of range, and for a profile
 * that needs more than 4,096 instructions. Unknown names of calls and of architectures are passed over, as runc does.
 */
export function compileSeccomp(
  profile: SeccompProfile,
  arch: "x86_64" | "aarch64" = nativeArch(),
): CompiledSeccomp {
  const known = compiled.get(profile) ?? new Map<AuditArch, CompiledSeccomp>();
  const answer = known.get(arch) ?? writeProgram(profile, arch);
  compiled.set(profile, known.set(arch, answer));
  return answer;
}

function writeProgram(profile: SeccompProfile, arch: AuditArch): CompiledSeccomp {
  const code = new Assembler();
  let section = code.return(killProcess);
  for (const other of architecturesOf(profile, arch)) {
    const start = writeSection(code, profile, other);
    section = code.branch(opcode.jumpIfEqual, auditValues[other], start, section);
  }
  code.plain(opcode.loadWord, archOffset);
  return { program: code.finish(), flags: flagsOf(profile) };
}

/** The native one last: what is written last is compared first. */
function architecturesOf(profile: SeccompProfile, native: AuditArch): readonly AuditArch[] {
  const listed = (profile.architectures ?? []).flatMap((name) => specArchitectures[name] ?? []);
  const compatible = native === "x86_64" && listed.includes("x86") ? (["x86"] as const) : [];
  return [...compatible, native];
}

function flagsOf({ flags }: SeccompProfile): number {
  if (flags === undefined) return filterFlags["SECCOMP_FILTER_FLAG_SPEC_ALLOW"] ?? 0;
  return flags.reduce((sum, name) => {
    const value = filterFlags[name];
    if (value === undefined)
      throw new GantryError("invalid", `seccomp: unknown flag ${JSON.stringify(name)}`);
    return sum | value;
  }, 0);
}

/** Which numbers are treated how. */
function treatmentsOf(
  profile: SeccompProfile,
  arch: AuditArch,
  byDefault: number,
): ReadonlyMap<number, Treatment> {
  const numbers = syscallNumbers(arch);
  const rules = new Map<number, SeccompRule[]>();
  for (const rule of profile.syscalls ?? []) {
    for (const name of rule.names) {
      const number = numbers.get(name);
      if (number === undefined) continue;
      const list = rules.get(number);
      if (list === undefined) rules.set(number, [rule]);
      else list.push(rule);
    }
  }
  return new Map(Array.from(rules, ([number, list]) => [number, treatmentOf(list, byDefault)]));
}

function treatmentOf(rules: readonly SeccompRule[], byDefault: number): Treatment {
  const plain = rules.find((rule) => (rule.args ?? []).length === 0);
  return {
    alternatives: rules.flatMap((rule) => {
      const action = actionValue(rule.action, rule.errnoRet);
      return conjunctions(rule.args ?? []).map((args) => ({ args, action }));
    }),
    otherwise: plain === undefined ? byDefault : actionValue(plain.action, plain.errnoRet),
  };
}

/** All comparisons of a rule must hold; but if an index occurs twice, each is an alternative of its own. */
function conjunctions(args: readonly SeccompArgument[]): readonly (readonly SeccompArgument[])[] {
  if (args.length === 0) return [];
  const repeated = new Set(args.map((argument) => argument.index)).size < args.length;
  return repeated ? args.map((argument) => [argument]) : [args];
}

function writeTreatment(code: Assembler, treatment: Treatment): Label {
  let next = code.return(treatment.otherwise);
  for (const { args, action } of treatment.alternatives.toReversed()) {
    let holds = code.return(action);
    for (const argument of args.toReversed()) holds = writeCondition(code, argument, { holds, fails: next });
    next = holds;
  }
  return next;
}

interface Range {
  readonly first: number;
  readonly treatment: Treatment;
}

function sameTreatment(a: Treatment, b: Treatment): boolean {
  return a === b || (a.alternatives.length + b.alternatives.length === 0 && a.otherwise === b.otherwise);
}

/** The whole space of numbers as neighbouring ranges; the last one is what the profile's author cannot have known. */
function rangesOf(
  treatments: ReadonlyMap<number, Treatment>,
  rest: Treatment,
  unknown: Treatment,
): readonly Range[] {
  const ranges: Range[] = [{ first: 0, treatment: rest }];
  const add = (first: number, treatment: Treatment): void => {
    const last = ranges.at(-1);
    if (last !== undefined && last.first === first) ranges.pop();
    const before = ranges.at(-1);
    if (before === undefined || !sameTreatment(before.treatment, treatment))
      ranges.push({ first, treatment });
  };
  const numbers = [...treatments].sort(([a], [b]) => a - b);
  for (const [number, treatment] of numbers) {
    add(number, treatment);
    add(number + 1, rest);
  }
  add((numbers.at(-1)?.[0] ?? -1) + 1, unknown);
  return ranges;
}

/** The rules of one architecture, from loading the number on. */
function writeSection(code: Assembler, profile: SeccompProfile, arch: AuditArch): Label {
  const byDefault = actionValue(profile.defaultAction, profile.defaultErrnoRet);
  const rest: Treatment = { alternatives: [], otherwise: byDefault };
  const refused = actionValue("SCMP_ACT_ERRNO", ENOSYS);
  const unknown: Treatment =
    profile.defaultAction === "SCMP_ACT_ERRNO" ? { alternatives: [], otherwise: refused } : rest;
  const ranges = rangesOf(treatmentsOf(profile, arch, byDefault), rest, unknown);
  let root = writeSearch(code, ranges);
  if (arch === "x86_64") {
    root = code.branch(opcode.jumpIfGreaterOrEqual, x32Bit, code.return(refused), root);
  }
  code.continueAt(root);
  return code.plain(opcode.loadWord, numberOffset);
}

function writeSearch(code: Assembler, ranges: readonly Range[]): Label {
  const middle = ranges.length >> 1;
  const upper = ranges[middle];
  if (upper === undefined) throw new GantryError("internal", "seccomp: a search without ranges");
  if (middle === 0) return writeTreatment(code, upper.treatment);
  const below = writeSearch(code, ranges.slice(0, middle));
  const above = writeSearch(code, ranges.slice(middle));
  return code.branch(opcode.jumpIfGreaterOrEqual, upper.first, above, below);
}
