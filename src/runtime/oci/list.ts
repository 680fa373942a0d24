/** `gantry-oci list`. */
import { GantryError } from "../../lib/index.ts";
import { ContainerDir, containerIds } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { type ShownState, shownState } from "./oci-state.ts";

export async function listContainers({ global, flags }: VerbInput): Promise<number> {
  expectWords("list", flags, 0);
  const format = flags.text("format") ?? "table";
  const rows: ShownState[] = [];
  for (const id of containerIds(global.root)) {
    const dir = new ContainerDir(global.root, id);
    try {
      rows.push(await shownState(dir, dir.read()));
    } catch (error) {
      // "not-found": deleted meanwhile, or still being made.
      if (!(error instanceof GantryError && error.code === "not-found")) throw error;
    }
  }
  if (flags.is("quiet")) await print(rows.map(({ id }) => `${id}\n`).join(""));
  else if (format === "json") await print(`${JSON.stringify(rows.length === 0 ? null : rows)}\n`);
  else if (format === "table") await print(table(rows));
  else throw new GantryError("invalid", "invalid format option");
  return 0;
}

/** As Go's tabwriter with a minimum width of 12 and three spaces between. Pure. */
export function table(rows: readonly ShownState[]): string {
  const cells = [
    ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    ...rows.map(({ id, pid, status, bundle, created }) => [id, String(pid), status, bundle, created, "root"]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(12, ...cells.map((row) => (row[column] ?? "").length + 3)),
  );
  return cells
    .map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("")}\n`)
    .join("");
}
