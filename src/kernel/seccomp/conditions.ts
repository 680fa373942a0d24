/** Comparisons of 64 bit arguments on a machine of 32 bit words: the high halves decide unless they are equal. */
import { GantryError } from "../../lib/index.ts";
import { type Assembler, type Label, opcode } from "./assembler.ts";
import type { SeccompArgument } from "./profile.ts";

/** Offset of args[0] in struct seccomp_data. */
const argumentsOffset = 16;
const largest = 2n ** 64n - 1n;

/** Where a comparison goes on. */
export interface Arms {
  readonly holds: Label;
  readonly fails: Label;
  /** The architecture has arguments of 32 bits. */
  readonly narrow: boolean;
}

interface Halves {
  readonly high: number;
  readonly low: number;
}

/** JSON numbers above 2^53 are rounded: the largest value arrives as 2^64. */
function halves(value: number | bigint): Halves {
  if (value < 0) throw new GantryError("invalid", `linux.seccomp: argument value ${value} is negative`);
  if (typeof value === "bigint")
    return value > largest
      ? halves(largest)
      : { high: Number(value >> 32n), low: Number(value & 0xffff_ffffn) };
  if (!Number.isInteger(value))
    throw new GantryError("invalid", `linux.seccomp: argument value ${value} is not an integer`);
  if (value >= 2 ** 64) return { high: 0xffff_ffff, low: 0xffff_ffff };
  return { high: Math.floor(value / 2 ** 32), low: value % 2 ** 32 };
}

/** One comparison in the making: where it is written, which argument, where it goes on. */
interface Place extends Arms {
  readonly code: Assembler;
  readonly index: number;
}

function load({ code, index }: Place, half: keyof Halves): Label {
  return code.loadHalf(argumentsOffset + 8 * index, half);
}

/** (A & mask) == value */
function equal(place: Place, value: Halves, mask?: Halves): Label {
  const { code } = place;
  const half = (which: keyof Halves, holds: Label): Label => {
    const wanted = (value[which] & (mask?.[which] ?? 0xffffffff)) >>> 0;
    code.branch(opcode.jumpIfEqual, wanted, holds, place.fails);
    if (mask !== undefined) code.plain(opcode.and, mask[which]);
    return load(place, which);
  };
  const low = half("low", place.holds);
  return place.narrow ? low : half("high", low);
}

/** A > value or A >= value, as `lowCode` says */
function greater(place: Place, value: Halves, lowCode: number): Label {
  const { code, holds, fails } = place;
  code.branch(lowCode, value.low, holds, fails);
  const low = load(place, "low");
  if (place.narrow) return low;
  const notAbove = code.branch(opcode.jumpIfEqual, value.high, low, fails);
  code.branch(opcode.jumpIfGreater, value.high, holds, notAbove);
  return load(place, "high");
}

/** Writes one comparison. @throws {GantryError} "invalid" for an index above 5, a value that is none, an unknown operator */
export function writeCondition(code: Assembler, argument: SeccompArgument, arms: Arms): Label {
  const { index, op } = argument;
  if (!Number.isInteger(index) || index < 0 || index > 5) {
    throw new GantryError("invalid", `linux.seccomp: argument index ${index} is not between 0 and 5`);
  }
  const value = halves(argument.value);
  const place: Place = { code, index, ...arms };
  const swapped: Place = { ...place, holds: arms.fails, fails: arms.holds };
  switch (op) {
    case "SCMP_CMP_EQ":
      return equal(place, value);
    case "SCMP_CMP_NE":
      return equal(swapped, value);
    case "SCMP_CMP_MASKED_EQ":
      return equal(place, halves(argument.valueTwo ?? 0), value);
    case "SCMP_CMP_GT":
      return greater(place, value, opcode.jumpIfGreater);
    case "SCMP_CMP_GE":
      return greater(place, value, opcode.jumpIfGreaterOrEqual);
    case "SCMP_CMP_LE":
      return greater(swapped, value, opcode.jumpIfGreater);
    case "SCMP_CMP_LT":
      return greater(swapped, value, opcode.jumpIfGreaterOrEqual);
    default:
      throw new GantryError("invalid", `linux.seccomp: unknown operator ${JSON.stringify(op)}`);
  }
}
