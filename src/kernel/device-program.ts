/**
 * The device rules of OCI (`linux.resources.devices`) as an eBPF program for cgroup v2, BPF_PROG_TYPE_CGROUP_DEVICE.
 *
 * For each requested right (read, write, mknod) the last rule that names the device and the right decides; where none does,
 * it is denied. That is what writing the rules into v1's devices.allow and devices.deny does, too. The program goes through
 * the rules from the last to the first and keeps in a register the rights that are still undecided:
 *
 *     r2 type, r3 undecided rights, r4 major, r5 minor
 *     allow c 1:3 rw    if r2 != 2 or r4 != 1 or r5 != 3 goto next;  r3 &= ~6;  if r3 != 0 goto next;  return 1
 *     deny a rwm        if !(r3 & 7) goto next;  return 0
 *     end               return 0
 *
 * @see linux/bpf.h: struct bpf_cgroup_dev_ctx, struct bpf_insn
 */
import { GantryError } from "../lib/index.ts";

/** OCI runtime-spec config-linux.md, "Allowed Device list". */
export interface DeviceRule {
  readonly allow: boolean;
  /** a: all (default), b: block, c: character. */
  readonly type?: "a" | "b" | "c";
  /** Absent or -1: all. */
  readonly major?: number;
  readonly minor?: number;
  /** Of "r", "w", "m" (mknod); absent: all three. */
  readonly access?: string;
}

/** BPF_DEVCG_DEV_* */
const typeValues = { b: 1, c: 2 } as const;
/** BPF_DEVCG_ACC_* */
const rights: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const allRights = 7;
/** The kernel checks every way through the program, a number that grows with the square of the rules: 1,000 are too many for it. */
const mostRules = 256;

const code = {
  loadWord: 0x61,
  moveRegister: 0xbf,
  moveNumber: 0xb7,
  and: 0x57,
  shiftRight: 0x77,
  jumpIfNotEqual: 0x55,
  jumpIfAnyBit: 0x45,
  jump: 0x05,
  exit: 0x95,
} as const;

const register = { result: 0, context: 1, type: 2, undecided: 3, major: 4, minor: 5 } as const;

interface Instruction {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly value?: number;
}

const prologue: readonly Instruction[] = [
  // struct bpf_cgroup_dev_ctx: u32 access << 16 | type, u32 major, u32 minor
  { code: code.loadWord, to: register.type, from: register.context, offset: 0 },
  { code: code.moveRegister, to: register.undecided, from: register.type },
  { code: code.and, to: register.type, value: 0xffff },
  { code: code.shiftRight, to: register.undecided, value: 16 },
  { code: code.loadWord, to: register.major, from: register.context, offset: 4 },
  { code: code.loadWord, to: register.minor, from: register.context, offset: 8 },
];

function answer(value: 0 | 1): readonly Instruction[] {
  return [{ code: code.moveNumber, to: register.result, value }, { code: code.exit }];
}

function rightsOf({ access }: DeviceRule): number {
  if (access === undefined) return allRights;
  return Array.from(access).reduce((sum, letter) => {
    const right = rights[letter];
    if (right === undefined)
      throw new GantryError("invalid", `device rule: access ${JSON.stringify(access)} is not of r, w, m`);
    return sum | right;
  }, 0);
}

/** What is compared of the device; nothing for a wildcard. */
function comparisons(rule: DeviceRule): readonly (readonly [number, number])[] {
  const list: [number, number][] = [];
  if (rule.type === "b" || rule.type === "c") list.push([register.type, typeValues[rule.type]]);
  for (const part of ["major", "minor"] as const) {
    const number = rule[part] ?? -1;
    if (number === -1) continue;
    if (!Number.isInteger(number) || number < 0 || number > 0x7fffffff) {
      throw new GantryError("invalid", `device rule: ${part} ${number} is not a device number`);
    }
    list.push([register[part], number]);
  }
  return list;
}

function ruleCode(rule: DeviceRule): readonly Instruction[] {
  const access = rightsOf(rule);
  const decision: readonly Instruction[] = rule.allow
    ? [
        { code: code.and, to: register.undecided, value: ~access },
        { code: code.jumpIfNotEqual, to: register.undecided, value: 0, offset: 2 },
        ...answer(1),
      ]
    : [
        { code: code.jumpIfAnyBit, to: register.undecided, value: access, offset: 1 },
        { code: code.jump, offset: 2 },
        ...answer(0),
      ];
  const tests = comparisons(rule);
  return [
    ...tests.map(([to, value], index) => ({
      code: code.jumpIfNotEqual,
      to,
      value,
      offset: tests.length - index - 1 + decision.length,
    })),
    ...decision,
  ];
}

/** Decides about everything, so that no earlier rule counts. */
function isCatchAll(rule: DeviceRule): boolean {
  return comparisons(rule).length === 0 && rightsOf(rule) === allRights;
}

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach((instruction, index) => {
    const at = index * 8;
    view.setUint8(at, instruction.code);
    view.setUint8(at + 1, (instruction.to ?? 0) | ((instruction.from ?? 0) << 4));
    view.setInt16(at + 2, instruction.offset ?? 0, true);
    view.setInt32(at + 4, instruction.value ?? 0, true);
  });
  return bytes;
}

/**
 * `struct bpf_insn[]`; needs no helper and no licence.
 * @throws {GantryError} "invalid" for a letter that is no right, a number that is no device number, more than 256 rules
 */
export function compileDeviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  if (rules.length > mostRules)
    throw new GantryError("invalid", `${rules.length} device rules; at most ${mostRules} are supported`);
  const fromLast = [...rules].reverse();
  const catchAll = fromLast.findIndex(isCatchAll);
  const relevant = catchAll < 0 ? fromLast : fromLast.slice(0, catchAll + 1);
  return encode([...prologue, ...relevant.flatMap(ruleCode), ...answer(0)]);
}
