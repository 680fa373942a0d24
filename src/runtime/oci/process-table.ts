/** `ps -ef` of some processes, for machines without that program: read from /proc. Pure but for the reader. */
import type { UserNames } from "./user-names.ts";

/** @param read the text of a file; undefined when there is none (the process has ended) */
export function ownListing(
  pids: readonly number[],
  read: (path: string) => string | undefined,
  names: Pick<UserNames, "of">,
): string {
  const rows = pids.flatMap((pid) => {
    const row = processRow(pid, read, names);
    return row === undefined ? [] : [row];
  });
  return [["UID", "PID", "PPID", "STAT", "TIME", "CMD"], ...rows]
    .map(
      ([user = "", pid = "", parent = "", state = "", time = "", command = ""]) =>
        `${user.padEnd(8)} ${pid.padStart(7)} ${parent.padStart(7)} ${state.padEnd(4)} ${time.padStart(8)} ${command}\n`,
    )
    .join("");
}

/** User space counts a hundred ticks a second on every architecture. */
const ticksPerSecond = 100;

function processRow(
  pid: number,
  read: (path: string) => string | undefined,
  names: Pick<UserNames, "of">,
): readonly string[] | undefined {
  const stat = read(`/proc/${pid}/stat`);
  const status = read(`/proc/${pid}/status`);
  if (stat === undefined || status === undefined) return undefined;
  // The name in parentheses may hold anything, parentheses too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const uid = Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? 0);
  const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  const words = (read(`/proc/${pid}/cmdline`) ?? "").split("\0").join(" ").trim();
  const seconds = Math.floor((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond);
  return [
    names.of(uid),
    String(pid),
    fields[1] ?? "",
    fields[0] ?? "",
    clock(seconds),
    // Both are the process's own words.
    (words === "" ? `[${name}]` : words).replace(/\p{Cc}/gu, "?"),
  ];
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function clock(seconds: number): string {
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}
