/** What every verb gets. */
import { GantryError, isErrno } from "../../lib/index.ts";
import type { ParsedFlags } from "./flags.ts";

/** The runtime-spec that is spoken. */
export const specVersion = "1.3.0";

export interface GlobalOptions {
  /** Where the containers' state directories are. */
  readonly root: string;
  /** --systemd-cgroup: linux.cgroupsPath is `slice:prefix:name`. */
  readonly systemdCgroup: boolean;
  /** --rootless: whether what cgroups refuse for lack of rights is ignored. */
  readonly rootless: "true" | "false" | "auto";
  /** --criu: the program for checkpoint and restore. */
  readonly criu: string;
  readonly debug: boolean;
}

export interface VerbInput {
  readonly global: GlobalOptions;
  readonly flags: ParsedFlags;
}

/** A verb's work; returns the exit code. */
export type Verb = (input: VerbInput) => number;

/** Reported in its own words alone, without those that say which command failed. */
export class BareError extends GantryError {}

/** Writes to stdout before the program ends, however slow the reader is. */
export function print(text: string): void {
  try {
    host.write(1, text);
  } catch (error) {
    // EPIPE: who reads has had enough. EBADF: there is no stdout.
    if (!isErrno(error, "EPIPE", "EBADF")) throw error;
  }
}

/** A variable of our environment. */
export function envOf(name: string): string | undefined {
  const start = `${name}=`;
  const entry = host.env.find((line) => line.startsWith(start));
  return entry === undefined ? undefined : entry.slice(start.length);
}
