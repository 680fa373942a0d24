/**
 * A seccomp profile to a filter program. What the kernel runs at every system call:
 *
 *     load arch; for each architecture: equal -> its section; else kill
 *     section:   load nr; binary search over ranges of numbers with equal treatment -> the treatment
 *     treatment: return an action, or compare arguments, rule by rule, and return
 *
 * A number above all that the profile names is a call that its author did not know: where the default action refuses, it gets
 * ENOSYS instead, so that programs fall back to older calls (as runc does).
 */
import { GantryError } from "../../lib/index.ts";
import { actionValue, ENOSYS, killProcess, mayPass } from "./actions.ts";
import { architectureOf, nativeArchitecture, type SeccompArchitecture, x32Bit } from "./architectures.ts";
import { Assembler, type Label, opcode } from "./assembler.ts";
import { writeCondition } from "./conditions.ts";
import type { SeccompProfile } from "./profile.ts";
import { type Alternative, type Rules, rulesOf, throughMultiplexer } from "./rules.ts";
import { numberAt, syscallIndexes, type SyscallRow, syscallRow } from "./syscalls.ts";

const numberOffset = 0;
const archOffset = 4;
/** The first number that x32 uses in another way than x86_64. */
const firstOfX32 = 512;
const refused = actionValue("SCMP_ACT_ERRNO", ENOSYS);

const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};

export interface CompiledSeccomp {
  /** `struct sock_filter[]` */
  readonly program: Uint8Array;
  /** For seccomp(2). */
  readonly flags: number;
  /** Some calls are asked of a listener. */
  readonly notifies: boolean;
}

/** Programs of profile objects that were compiled before: the engine starts every container with the same few. */
const compiled = new WeakMap<SeccompProfile, Map<string, CompiledSeccomp>>();

/**
 * The program for a profile, which must not be changed afterwards: the answer is kept with the object.
 * @param native a name such as SCMP_ARCH_X86_64
 * @throws {GantryError} "invalid" for an unknown action, operator, flag or architecture, an errno or index out of range, and
 * for a profile that needs more than 4,096 instructions. Unknown names of calls are passed over, as runc does.
 */
export function compileSeccomp(profile: SeccompProfile, native = nativeArchitecture()): CompiledSeccomp {
  const known = compiled.get(profile) ?? new Map<string, CompiledSeccomp>();
  const answer = known.get(native) ?? writeProgram(profile, native);
  compiled.set(profile, known.set(native, answer));
  return answer;
}

function writeProgram(profile: SeccompProfile, native: string): CompiledSeccomp {
  refuseDeadlocks(profile);
  const rules = rulesOf(profile);
  const code = new Assembler(architectureOf(native).bigEndian === true);
  const architectures = architecturesOf(profile, native);
  const x32 = architectures.find(({ base }) => base === x32Bit);
  let section = code.return(killProcess);
  for (const architecture of architectures) {
    if (architecture === x32) continue;
    let start = writeSection(code, rules, rangesOf(rules, architecture));
    if (architecture.row === "x86_64")
      start = writeX32(code, rules, { below: start, allowed: x32 !== undefined });
    code.continueAt(start);
    start = code.plain(opcode.loadWord, numberOffset);
    section = code.branch(opcode.jumpIfEqual, architecture.audit, start, section);
  }
  code.plain(opcode.loadWord, archOffset);
  const notifies = notifiedCalls(profile).length > 0;
  return { program: code.finish(), flags: flagsOf(profile, notifies), notifies };
}

/** The native one last, for what is written last is compared first; then those whose programs its kernel runs, too. */
function architecturesOf(profile: SeccompProfile, native: string): readonly SeccompArchitecture[] {
  const own = architectureOf(native);
  const listed = new Set((profile.architectures ?? []).map(architectureOf));
  listed.delete(own);
  return [...Array.from(listed).filter(({ family }) => family === own.family), own];
}

/**
 * Who installs the filter must still hand its listener over, which takes calls of its own; we could do without write(2), but
 * what runc refuses nobody can expect to work.
 */
function refuseDeadlocks(profile: SeccompProfile): void {
  if (profile.defaultAction === "SCMP_ACT_NOTIFY")
    throw new GantryError(
      "invalid",
      "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action",
    );
  if (notifiedCalls(profile).includes("write"))
    throw new GantryError(
      "invalid",
      "linux.seccomp.syscalls: SCMP_ACT_NOTIFY cannot be used for the write syscall",
    );
}

function notifiedCalls(profile: SeccompProfile): readonly string[] {
  return (profile.syscalls ?? []).flatMap((rule) => (rule.action === "SCMP_ACT_NOTIFY" ? rule.names : []));
}

function flagsOf({ flags }: SeccompProfile, notifies: boolean): number {
  if (flags === undefined) return filterFlags["SECCOMP_FILTER_FLAG_SPEC_ALLOW"] ?? 0;
  const sum = flags.reduce((total, name) => {
    const value = filterFlags[name];
    if (value === undefined)
      throw new GantryError("invalid", `linux.seccomp.flags: there is no flag ${JSON.stringify(name)}`);
    return total | value;
  }, 0);
  // TSYNC is for the other threads, of which there are none; the kernel refuses the last one without a listener.
  return sum & ~(notifies ? 1 : 1 | 32);
}

interface TablePart {
  readonly row: SyscallRow;
  readonly narrow?: true;
  readonly base?: number;
  /** Lower numbers are left out. */
  readonly from?: number;
}

/** What the calls of one architecture lead to: neighbouring ranges of numbers, each from its first number on. */
interface Ranges {
  readonly firsts: number[];
  /** A return value, or alternatives before the default. */
  readonly treatments: (number | readonly Alternative[])[];
  readonly narrow: boolean;
}

function writeSection(code: Assembler, rules: Rules, ranges: Ranges): Label {
  return writeSearch(code, rules, ranges, { from: 0, to: ranges.firsts.length });
}

/**
 * x32 is the same architecture but for one bit, which would go past every rule. Where the profile lists it, its calls below
 * 512 are those of x86_64 (or do not exist), and those from there on have a search of their own; else there are none.
 */
function writeX32(
  code: Assembler,
  rules: Rules,
  { below, allowed }: { readonly below: Label; readonly allowed: boolean },
): Label {
  if (!allowed) return code.branch(opcode.jumpIfGreaterOrEqual, x32Bit, code.return(refused), below);
  const own = writeSection(code, rules, rangesOf(rules, { row: "x32", from: firstOfX32 }));
  code.branch(opcode.jumpIfGreaterOrEqual, firstOfX32, own, below);
  const masked = code.plain(opcode.and, x32Bit - 1);
  return code.branch(opcode.jumpIfGreaterOrEqual, x32Bit, masked, below);
}

function rangesOf(rules: Rules, part: TablePart): Ranges {
  const { row, base = 0, from = 0, narrow = false } = part;
  const found = placesOf(rules, row);
  const firsts: number[] = [0];
  const treatments: (number | readonly Alternative[])[] = [rules.byDefault];
  let end = base;
  for (let at = 0; at < found.length; at++) {
    const place = found[at] ?? 0;
    const number = base + (place >>> 10);
    if (number < from) continue;
    let treatment = treatmentOf(rules, place & 1023);
    // Two names of one number: the first with a rule of its own decides.
    while (at + 1 < found.length && base + ((found[at + 1] ?? 0) >>> 10) === number) {
      at += 1;
      if (treatment === rules.byDefault) treatment = treatmentOf(rules, (found[at] ?? 0) & 1023);
    }
    // Most calls are treated as the one before.
    if (number !== end || treatment !== treatments[treatments.length - 1]) {
      if (number > end) append(firsts, treatments, end, rules.byDefault);
      append(firsts, treatments, number, treatment);
    }
    end = number + 1;
  }
  append(firsts, treatments, end, end > base + 1 && !mayPass(rules.byDefault) ? refused : rules.byDefault);
  return { firsts, treatments, narrow };
}

// oxlint-disable-next-line max-params -- the inner step of rangesOf
function append(
  firsts: number[],
  treatments: (number | readonly Alternative[])[],
  first: number,
  treatment: number | readonly Alternative[],
): void {
  if (firsts[firsts.length - 1] === first) {
    firsts.pop();
    treatments.pop();
  }
  if (treatments[treatments.length - 1] === treatment) return;
  firsts.push(first);
  treatments.push(treatment);
}

/** Number and index of all calls with a meaning in the profile that the architecture has, packed into one, sorted. */
function placesOf(rules: Rules, name: SyscallRow): Int32Array {
  const row = syscallRow(name);
  const places: number[] = [];
  const add = (index: number): void => {
    const number = numberAt(row, index);
    if (number >= 0) places.push(number * 1024 + index);
  };
  for (const index of rules.named) add(index);
  for (const call of ["socketcall", "ipc"] as const) {
    const index = syscallIndexes().get(call) ?? -1;
    if (!rules.named.has(index) && throughMultiplexer(rules, call).length > 0) add(index);
  }
  return Int32Array.from(places).sort();
}

function treatmentOf(rules: Rules, index: number): number | readonly Alternative[] {
  const plain = rules.plain.get(index);
  if (plain !== undefined) return plain;
  const own = rules.conditional.get(index) ?? [];
  const call = (["socketcall", "ipc"] as const).find((name) => syscallIndexes().get(name) === index);
  const inside = call === undefined ? [] : throughMultiplexer(rules, call);
  return own.length + inside.length === 0 ? rules.byDefault : [...own, ...inside];
}

// oxlint-disable-next-line max-params -- called for every range
function writeTreatment(
  code: Assembler,
  rules: Rules,
  treatment: number | readonly Alternative[],
  narrow: boolean,
): Label {
  if (typeof treatment === "number") return code.return(treatment);
  let next = code.return(rules.byDefault);
  for (let at = treatment.length - 1; at >= 0; at--) {
    const { args = [], action = 0 } = treatment[at] ?? {};
    let holds = code.return(action);
    for (const argument of [...args].reverse())
      holds = writeCondition(code, argument, { holds, fails: next, narrow });
    next = holds;
  }
  return next;
}

// oxlint-disable-next-line max-params -- called for every range
function writeSearch(
  code: Assembler,
  rules: Rules,
  ranges: Ranges,
  part: { readonly from: number; readonly to: number },
): Label {
  const { from, to } = part;
  if (to - from === 1) return writeTreatment(code, rules, ranges.treatments[from] ?? 0, ranges.narrow);
  const middle = (from + to) >> 1;
  const below = writeSearch(code, rules, ranges, { from, to: middle });
  const above = writeSearch(code, rules, ranges, { from: middle, to });
  return code.branch(opcode.jumpIfGreaterOrEqual, ranges.firsts[middle] ?? 0, above, below);
}

export const seccompFlagNames: readonly string[] = Object.keys(filterFlags);
