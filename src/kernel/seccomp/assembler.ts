/**
 * Classic BPF as the kernel takes it from seccomp(2), written from its end to its start: jumps only go forward, so that every
 * target is known when a jump to it is written, and one that is too far gets a stepping stone. @see linux/filter.h
 */
import { GantryError } from "../../lib/index.ts";

export const opcode = {
  /** A = the 32 bit word at this offset of struct seccomp_data. */
  loadWord: 0x20,
  /** A &= operand */
  and: 0x54,
  jump: 0x05,
  jumpIfEqual: 0x15,
  jumpIfGreater: 0x25,
  jumpIfGreaterOrEqual: 0x35,
  return: 0x06,
} as const;

/** An instruction, counted from the end of the program: the last one is 1. */
export type Label = number;

/** A conditional jump skips at most 255; up to two stepping stones may still come between. */
const longestReach = 253;
/** BPF_MAXINSNS */
const longestProgram = 4096;

export class Assembler {
  /** The code and the two jumps of each instruction as one word, and its operand; the last instruction first. */
  readonly #words = new Uint32Array(longestProgram);
  readonly #operands = new Uint32Array(longestProgram);
  readonly #returns = new Map<number, Label>();
  readonly #bigEndian: boolean;
  /** The instruction that what is written next falls into. */
  head: Label = 0;

  constructor(bigEndian = false) {
    this.#bigEndian = bigEndian;
  }

  /** An instruction that falls into the head. */
  plain(code: number, operand: number): Label {
    return this.#prepend(code, operand);
  }

  /** A word of `struct seccomp_data`: the high or the low half of a 64 bit field. */
  loadHalf(offset: number, half: "high" | "low"): Label {
    const second = this.#bigEndian === (half === "low");
    return this.#prepend(opcode.loadWord, second ? offset + 4 : offset);
  }

  /** Makes `target` the head. */
  continueAt(target: Label): void {
    if (target !== this.head) this.#prepend(opcode.jump, this.head - target);
  }

  /** A `return`; one that stands near is used again. */
  return(value: number): Label {
    const near = this.#returns.get(value);
    if (near !== undefined && this.head - near <= longestReach) return near;
    const label = this.#prepend(opcode.return, value);
    this.#returns.set(value, label);
    return label;
  }

  /** A conditional jump; both targets stand already. */
  branch(code: number, operand: number, whenTrue: Label, whenFalse: Label): Label {
    const near = this.#reachable(whenTrue);
    const otherwise = this.#reachable(whenFalse);
    return this.#prepend(code | ((this.head - near) << 16) | ((this.head - otherwise) << 24), operand);
  }

  #prepend(word: number, operand: number): Label {
    if (this.head === longestProgram)
      throw new GantryError(
        "invalid",
        `linux.seccomp: the profile needs more than ${longestProgram} instructions`,
        { hint: "use fewer rules with args" },
      );
    this.#words[this.head] = word;
    this.#operands[this.head] = operand;
    return ++this.head;
  }

  #reachable(target: Label): Label {
    return this.head - target <= longestReach ? target : this.#prepend(opcode.jump, this.head - target);
  }

  /** `struct sock_filter[]`: u16 code, u8 true, u8 false, u32 operand. */
  finish(): Uint8Array {
    const bytes = new Uint8Array(this.head * 8);
    const view = new DataView(bytes.buffer);
    let offset = 0;
    for (let at = this.head - 1; at >= 0; at--, offset += 8) {
      const word = this.#words[at] ?? 0;
      if (this.#bigEndian) {
        view.setUint16(offset, word & 0xffff);
        view.setUint8(offset + 2, (word >>> 16) & 0xff);
        view.setUint8(offset + 3, word >>> 24);
      } else view.setUint32(offset, word, true);
      view.setUint32(offset + 4, this.#operands[at] ?? 0, !this.#bigEndian);
    }
    return bytes;
  }
}
