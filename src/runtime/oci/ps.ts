/** `gantry-oci ps`. */
import { detectCgroups } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import { cgroupPids } from "../cgroup-files.ts";
import { ContainerDir } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";

export async function ps({ global, flags }: VerbInput): Promise<number> {
  const [id = "", ...options] = expectWords("ps", flags, 1, Number.POSITIVE_INFINITY);
  const stored = new ContainerDir(global.root, id).read();
  const pids = cgroupPids(detectCgroups(), stored.config.linux?.cgroupsPath ?? "");
  const format = flags.text("format") ?? "table";
  if (format === "json") {
    await print(`${JSON.stringify(pids)}\n`);
    return 0;
  }
  if (format !== "table") throw new GantryError("invalid", "invalid format option");
  const listing = Bun.spawnSync(["ps", ...(options.length === 0 ? ["-ef"] : options)]);
  if (listing.exitCode !== 0) throw new GantryError("invalid", `ps: ${listing.stderr.toString().trim()}`);
  await print(filterRows(listing.stdout.toString(), pids));
  return 0;
}

/** The header and the rows of these pids. Pure. @throws {GantryError} "invalid" when there is no PID column */
export function filterRows(listing: string, pids: readonly number[]): string {
  const [header = "", ...rows] = listing.split("\n");
  const column = header.trim().split(/\s+/).indexOf("PID");
  if (column < 0) throw new GantryError("invalid", "couldn't find PID field in ps output");
  const own = rows.filter((row) => row !== "" && pids.includes(Number(row.trim().split(/\s+/)[column])));
  return `${[header, ...own].join("\n")}\n`;
}
