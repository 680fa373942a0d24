/** System call numbers by name and architecture. */
import {
  aarch64Syscalls,
  commonSyscalls,
  type SyscallTable,
  x8664Syscalls,
  x86Syscalls,
} from "./syscall-tables.ts";

/** What a filter tells apart: `struct seccomp_data.arch`. */
export type AuditArch = "x86_64" | "x86" | "aarch64";

const tables: Readonly<Record<AuditArch, SyscallTable>> = {
  x86_64: x8664Syscalls,
  x86: x86Syscalls,
  aarch64: aarch64Syscalls,
};

const numbers = new Map<AuditArch, ReadonlyMap<string, number>>();

/** Numbers by name, read from the tables once. */
export function syscallNumbers(arch: AuditArch): ReadonlyMap<string, number> {
  let known = numbers.get(arch);
  if (known === undefined) {
    known = readTables([...tables[arch], ...commonSyscalls]);
    numbers.set(arch, known);
  }
  return known;
}

function readTables(runs: SyscallTable): ReadonlyMap<string, number> {
  const byName = new Map<string, number>();
  for (const [first, names] of runs) {
    names
      .trim()
      .split(/\s+/)
      .forEach((name, offset) => {
        if (name !== "-") byName.set(name, first + offset);
      });
  }
  return byName;
}
