/** `--ulimit` names to the OCI's rlimit types. Pure. */
import { GantryError } from "../lib/index.ts";
import type { OciRlimit } from "../runtime/index.ts";
import type { Ulimit } from "./container.ts";

const names = [
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
] as const;

/** RLIM_INFINITY, as JSON's numbers have it: the runtime takes everything from here on as no limit. */
const infinity = 2 ** 64;

/** @throws {GantryError} "invalid" for an unknown name */
export function toRlimit(ulimit: Ulimit): OciRlimit {
  if (!names.some((name) => name === ulimit.Name)) {
    throw new GantryError("invalid", `invalid ulimit type: ${ulimit.Name}`, {
      hint: `one of: ${names.join(" ")}`,
    });
  }
  const value = (limit: number): number => (limit < 0 ? infinity : limit);
  return { type: `RLIMIT_${ulimit.Name.toUpperCase()}`, soft: value(ulimit.Soft), hard: value(ulimit.Hard) };
}
