/** System call numbers by name and architecture, read from the tables as late and as little as possible. */
import { syscallNames, syscallRows } from "./syscall-tables.ts";

export type SyscallRow = keyof typeof syscallRows;

let indexes: ReadonlyMap<string, number> | undefined;
const rows = new Map<SyscallRow, readonly string[]>();

/** The place of each name in every row. */
export function syscallIndexes(): ReadonlyMap<string, number> {
  if (indexes === undefined) {
    const made = new Map<string, number>();
    const names = syscallNames.split(" ");
    for (let index = 0; index < names.length; index++) made.set(names[index] ?? "", index);
    indexes = made;
  }
  return indexes;
}

/** Numbers in base 36 (`numberAt` reads them), without the architecture's base; empty where there is no such call. */
export function syscallRow(row: SyscallRow): readonly string[] {
  let known = rows.get(row);
  if (known === undefined) {
    known = syscallRows[row].split(",");
    rows.set(row, known);
  }
  return known;
}

/** -1 where the architecture has no such call. */
export function numberAt(row: readonly string[], index: number): number {
  const text = row[index] ?? "";
  return text === "" ? -1 : parseInt(text, 36);
}

/** The number of a call, without the architecture's base. */
export function syscallNumber(row: SyscallRow, name: string): number | undefined {
  const number = numberAt(syscallRow(row), syscallIndexes().get(name) ?? -1);
  return number < 0 ? undefined : number;
}
