/** How much of a container's output is kept: `--log-driver` and `--log-opt`. Pure. */
import { GantryError } from "../lib/index.ts";
import type { HostConfig } from "./container.ts";

export interface LogSettings {
  /** A file is rotated before it would become longer. */
  readonly maxBytes: number;
  /** In all, the one that is written included. */
  readonly maxFiles: number;
}

/** 3 files of 10 MB: no container fills the disk with its output. Docker keeps everything by default. */
const defaults: LogSettings = { maxBytes: 10_000_000, maxFiles: 3 };
const leastBytes = 4096;
const units: Readonly<Record<string, number>> = { "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Undefined: nothing is kept (driver `none`). @throws {GantryError} "invalid" for a malformed option */
export function logSettings({ Type, Config }: HostConfig["LogConfig"]): LogSettings | undefined {
  if (Type === "none") return undefined;
  return {
    maxBytes: Config["max-size"] === undefined ? defaults.maxBytes : parseSize(Config["max-size"]),
    maxFiles: Config["max-file"] === undefined ? defaults.maxFiles : parseCount(Config["max-file"]),
  };
}

function parseSize(text: string): number {
  const match = /^(\d{1,12})([bkmg]?)b?$/i.exec(text.trim());
  const bytes = Number(match?.[1]) * (units[match?.[2]?.toLowerCase() ?? ""] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes) || bytes < leastBytes) {
    throw new GantryError("invalid", `invalid log option max-size: ${text}`, {
      hint: "4k or more, such as 10m; there is no unlimited log",
    });
  }
  return bytes;
}

function parseCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > 1000)
    throw new GantryError("invalid", `invalid log option max-file: ${text}`, { hint: "1 to 1000" });
  return count;
}
