/** linux.resources.memory for both kernel interfaces. Pure. */
import { type LimitPart, maxOr } from "./limit-write.ts";
import type { OciMemory } from "./oci-types.ts";

/** Go's encoders of "not set" for a number without sign. */
const unsetAbove = 2 ** 63;

export function memoryV1(memory: OciMemory, part: LimitPart): void {
  const { limit = 0, swap = 0 } = memory;
  const write = (file: string, value: string | number | undefined, missingIsFine = false): void =>
    part.write("memory", file, value, missingIsFine ? { missingIsFine } : {});
  if (memory.useHierarchy === true) write("memory.use_hierarchy", 1, true);
  // A fresh group has no limits: the memory limit comes first, because memory plus swap may never be below it.
  if (limit !== 0) write("memory.limit_in_bytes", Math.max(-1, limit));
  if (swap > 0) write("memory.memsw.limit_in_bytes", swap);
  // Without swap accounting the file does not exist, and nothing limits swap.
  else if (swap < 0 || limit < 0) write("memory.memsw.limit_in_bytes", -1, true);
  if (memory.reservation !== 0) write("memory.soft_limit_in_bytes", memory.reservation);
  if (memory.kernelTCP !== 0) write("memory.kmem.tcp.limit_in_bytes", memory.kernelTCP);
  write("memory.swappiness", swappiness(memory, part));
  if (memory.disableOOMKiller === true) write("memory.oom_control", 1);
}

export function memoryV2(memory: OciMemory, part: LimitPart): void {
  const { limit = 0, reservation = 0 } = memory;
  if (limit !== 0) part.write("memory", "memory.max", maxOr(limit));
  const swap = swapAlone(memory, part);
  // Without swap in the kernel its file is missing; then both words are true.
  if (swap !== undefined)
    part.write(
      "memory",
      "memory.swap.max",
      swap,
      swap === "max" || swap === 0 ? { missingIsFine: true } : {},
    );
  if (reservation !== 0) part.write("memory", "memory.low", maxOr(reservation));
  if (memory.disableOOMKiller === true)
    part.lacks("disableOOMKiller", "cgroup v2 cannot turn the OOM killer off");
  if (swappiness(memory, part) !== undefined)
    part.lacks("swappiness", "cgroup v2 has no swappiness of a cgroup's own");
  if (memory.kernelTCP !== undefined && memory.kernelTCP !== 0)
    part.lacks("kernelTCP", "cgroup v2 counts TCP buffers in the one memory limit");
}

/** v2 limits swap alone; OCI has the sum. Unlimited memory without a word on swap frees swap too, as on v1. */
function swapAlone({ limit = 0, swap = 0 }: OciMemory, part: LimitPart): string | number | undefined {
  if (swap === 0) return limit < 0 ? "max" : undefined;
  if (swap < 0) return "max";
  if (limit < 0) return swap;
  if (limit === 0)
    return part.wrong("swap", "a limit of memory plus swap needs a limit of memory on cgroup v2");
  if (swap < limit) return part.wrong("swap", "memory plus swap must be at least memory");
  return swap - limit;
}

function swappiness({ swappiness: value }: OciMemory, part: LimitPart): number | undefined {
  if (value === undefined || value < 0 || value >= unsetAbove) return undefined;
  if (value > 100) return part.wrong("swappiness", `${value} is not from 0 to 100`);
  return value;
}
