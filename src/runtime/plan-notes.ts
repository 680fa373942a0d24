/** What runc's --debug log tells of a start, and tools look for. Pure. */
import type { ContainerStep, MonitorStep } from "./plan-step.ts";

/** SECCOMP_FILTER_FLAG_NEW_LISTENER */
const newListener = 8;

export function planNotes(steps: readonly (MonitorStep | ContainerStep)[]): readonly string[] {
  const notes: string[] = [];
  for (const step of steps) {
    if (step.do === "seccomp") notes.push(`seccomp filter flags: ${step.flags}`);
    if (step.do === "seccomp-listener") notes.push(`seccomp filter flags: ${step.flags | newListener}`);
    if (step.do === "cpu-affinity" && step.because === "process.execCPUAffinity.initial")
      notes.push(`gantry-init, as nsexec: affinity: ${hexadecimal(step.cpus)}`);
  }
  return notes;
}

/** The set as one number. */
function hexadecimal(bits: Uint8Array): string {
  let value = 0n;
  bits.forEach((byte, index) => {
    value |= BigInt(byte) << BigInt(8 * index);
  });
  return `0x${value.toString(16)}`;
}
