/** A classic BPF machine for tests: runs a filter on a `struct seccomp_data`, as seccomp(2) says, and checks it as the kernel does. */

export interface SeccompData {
  readonly number: number;
  readonly arch: number;
  readonly args?: readonly bigint[];
  /** Of a machine with the other byte order. */
  readonly bigEndian?: boolean;
}

function dataBytes({ number, arch, args = [], bigEndian }: SeccompData): DataView {
  const little = bigEndian !== true;
  const view = new DataView(new ArrayBuffer(64));
  view.setUint32(0, number >>> 0, little);
  view.setUint32(4, arch >>> 0, little);
  args.forEach((value, index) => view.setBigUint64(16 + 8 * index, value, little));
  return view;
}

/** The value that the filter returns. Throws where the kernel would refuse the program. */
export function runFilter(program: Uint8Array, input: SeccompData): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const data = dataBytes(input);
  const length = program.length / 8;
  const little = input.bigEndian !== true;
  let accumulator = 0;
  for (let at = 0; at < length; at++) {
    const [opcode, whenTrue, whenFalse] = [
      code.getUint16(at * 8, little),
      code.getUint8(at * 8 + 2),
      code.getUint8(at * 8 + 3),
    ];
    const operand = code.getUint32(at * 8 + 4, little);
    const jump = (holds: boolean): void => {
      at += holds ? whenTrue : whenFalse;
    };
    if (opcode === 0x20) accumulator = data.getUint32(operand, little);
    else if (opcode === 0x54) accumulator = (accumulator & operand) >>> 0;
    else if (opcode === 0x05) at += operand;
    else if (opcode === 0x15) jump(accumulator === operand);
    else if (opcode === 0x25) jump(accumulator > operand);
    else if (opcode === 0x35) jump(accumulator >= operand);
    else if (opcode === 0x06) return operand;
    else throw new Error(`unknown instruction ${opcode} at ${at}`);
  }
  throw new Error("the program ends without a return");
}
