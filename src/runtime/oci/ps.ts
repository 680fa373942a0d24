/** `gantry-oci ps`. */
import { GantryError } from "../../lib/index.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import { containerPids } from "./container-cgroups.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { isAlive } from "./process-identity.ts";
import { ownListing } from "./process-table.ts";
import { tryReadText } from "./host-cgroups.ts";
import { UserNames } from "./user-names.ts";

const psDeadlineMs = 10_000;
const maxListing = 16 << 20;

export function ps({ global, flags }: VerbInput): number {
  const [id = "", ...options] = expectWords("ps", flags, 1, Number.POSITIVE_INFINITY);
  const pids = pidsOf(new ContainerDir(global.root, id).read());
  const format = flags.text("format") ?? "table";
  if (format === "json") print(`${JSON.stringify(pids.length === 0 ? null : pids)}\n`);
  else if (format === "table") print(table(pids, options));
  else
    throw new GantryError("invalid", "invalid format option", {
      hint: "use --format table or --format json",
    });
  return 0;
}

/** Without cgroups (an ordinary user's container) the first process is all that is known to be the container's. */
function pidsOf(stored: StoredState): readonly number[] {
  const pids = containerPids(stored);
  const { process } = stored;
  return pids.length === 0 && process !== undefined && isAlive(process) ? [process.pid] : pids;
}

/** The rows of the host's `ps`; without that program and without options our own, of the same shape. */
function table(pids: readonly number[], options: readonly string[]): string {
  if (!hasProgram("ps")) {
    if (options.length > 0)
      throw new GantryError(
        "unsupported",
        "this machine has no program ps, whose options these are: " + options.join(" "),
        { hint: "install procps, or leave the options out" },
      );
    return ownListing(pids, tryReadText, new UserNames());
  }
  const listing = host.run(["ps", ...(options.length === 0 ? ["-ef"] : options)], {
    timeoutMs: psDeadlineMs,
    maxOutput: maxListing,
  });
  if (listing.timedOut) throw new GantryError("timeout", `ps has not ended within ${psDeadlineMs / 1000} s`);
  if (listing.status !== 0)
    throw new GantryError(
      "invalid",
      `${listing.signal > 0 ? `signal ${listing.signal}` : `exit status ${listing.status}`}: ${listing.stdout}${listing.stderr}`,
    );
  return filterRows(listing.stdout, pids);
}

function hasProgram(name: string): boolean {
  const path = host.env.find((entry) => entry.startsWith("PATH="))?.slice(5) ?? "/usr/bin:/bin";
  return path.split(":").some((dir) => host.access(`${dir === "" ? "." : dir}/${name}`, 1));
}

/** The header and the rows of these pids. Pure. @throws {GantryError} "invalid" when there is no PID column */
export function filterRows(listing: string, pids: readonly number[]): string {
  const [header = "", ...rows] = listing.split("\n");
  const column = header.trim().split(/\s+/).indexOf("PID");
  if (column < 0)
    throw new GantryError("invalid", "couldn't find PID field in ps output", {
      hint: "add the column pid to the options of ps, such as: -o pid,args",
    });
  const wanted = new Set(pids);
  const own = rows.filter((row) => row !== "" && wanted.has(Number(row.trim().split(/\s+/)[column])));
  return `${[header, ...own].join("\n")}\n`;
}
