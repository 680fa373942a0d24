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

interface Instruction {
  readonly code: number;
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly operand: number;
}

/** A conditional jump skips at most 255; up to two stepping stones may still come between. */
const longestReach = 253;
/** BPF_MAXINSNS */
const longestProgram = 4096;

export class Assembler {
  readonly #reversed: Instruction[] = [];
  readonly #returns = new Map<number, Label>();

  /** The instruction that what is written next falls into. */
  get head(): Label {
    return this.#reversed.length;
  }

  #prepend(code: number, operand: number, whenTrue = 0, whenFalse = 0): Label {
    this.#reversed.push({ code, operand, whenTrue, whenFalse });
    if (this.#reversed.length > longestProgram) {
      throw new GantryError("invalid", `seccomp: the profile needs more than ${longestProgram} instructions`);
    }
    return this.head;
  }

  /** An instruction that falls into the head. */
  plain(code: number, operand: number): Label {
    return this.#prepend(code, operand);
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
    const [near, otherwise] = [this.#reachable(whenTrue), this.#reachable(whenFalse)];
    return this.#prepend(code, operand, this.head - near, this.head - otherwise);
  }

  #reachable(target: Label): Label {
    return this.head - target <= longestReach ? target : this.#prepend(opcode.jump, this.head - target);
  }

  /** `struct sock_filter[]`: u16 code, u8 true, u8 false, u32 operand. */
  finish(): Uint8Array {
    const bytes = new Uint8Array(this.#reversed.length * 8);
    const view = new DataView(bytes.buffer);
    this.#reversed.toReversed().forEach(({ code, whenTrue, whenFalse, operand }, index) => {
      const offset = index * 8;
      view.setUint16(offset, code, true);
      view.setUint8(offset + 2, whenTrue);
      view.setUint8(offset + 3, whenFalse);
      view.setUint32(offset + 4, operand, true);
    });
    return bytes;
  }
}
