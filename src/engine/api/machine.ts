/** What GET /info and /version say of the machine, read from /proc and /etc; read once where it cannot change. */
import { readFileSync } from "node:fs";
import { cpus, hostname, release, totalmem } from "node:os";
import metadata from "../../../package.json" with { type: "json" };
import { detectCgroups } from "../../kernel/index.ts";
import { isErrno } from "../../lib/index.ts";

/** This program's version. */
export const engineVersion: string = metadata.version;

export interface MachineFacts {
  readonly hostname: string;
  readonly kernel: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  /** As Docker names it: x86_64, aarch64. */
  readonly machine: string;
  /** As Go names it: amd64, arm64. */
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly cgroupVersion: "1" | "2";
}

let facts: MachineFacts | undefined;

export function machineFacts(): MachineFacts {
  facts ??= readFacts();
  return facts;
}

function readFacts(): MachineFacts {
  const os = osRelease();
  const x64 = process.arch === "x64";
  return {
    hostname: hostname(),
    kernel: release(),
    operatingSystem: os["PRETTY_NAME"] ?? "Linux",
    osVersion: os["VERSION_ID"] ?? "",
    machine: x64 ? "x86_64" : "aarch64",
    architecture: x64 ? "amd64" : process.arch,
    cpus: cpus().length,
    memoryBytes: totalmem(),
    cgroupVersion: detectCgroups().kind === "v2" ? "2" : "1",
  };
}

function osRelease(): Readonly<Record<string, string>> {
  let text: string;
  try {
    text = readFileSync("/etc/os-release", "utf8");
  } catch (error) {
    // ENOENT: a system without one (a bare container) is just Linux.
    if (isErrno(error, "ENOENT")) return {};
    throw error;
  }
  const pairs = [...text.matchAll(/^([A-Z_]+)=(?:"(.*)"|(.*))$/gm)];
  return Object.fromEntries(pairs.map(([, key = "", quoted, plain]) => [key, quoted ?? plain ?? ""]));
}
