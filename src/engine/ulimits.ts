/** `--ulimit` names to the OCI's rlimit types. Pure. */
import { GantryError } from "../lib/index.ts";
import type { Ulimit } from "./container.ts";

const names = [
  "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
] as const;

/** OCI rlimits have unsigned 64-bit values; -1 is no limit. */
const infinity = 0xffff_ffff_ffff_ffffn;

export interface Rlimit {
  readonly type: string;
  readonly soft: bigint;
  readonly hard: bigint;
}

/** @throws {GantryError} "invalid" for an unknown name */
export function toRlimit(ulimit: Ulimit): Rlimit {
  if (!names.some((name) => name === ulimit.Name)) {
    throw new GantryError("invalid", `invalid ulimit type: ${ulimit.Name}`, { hint: `one of: ${names.join(" ")}` });
  }
  const value = (limit: number): bigint => (limit < 0 ? infinity : BigInt(limit));
  return { type: `RLIMIT_${ulimit.Name.toUpperCase()}`, soft: value(ulimit.Soft), hard: value(ulimit.Hard) };
}
