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

/** Names of file systems by their magic number (statfs(2)), as Docker calls them. */
const fileSystems: Readonly<Record<number, string>> = {
  0xef53: "extfs",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
  0x01021994: "tmpfs",
  0x2fc12fc1: "zfs",
  0x794c7630: "overlayfs",
  0xf2f52010: "f2fs",
};

/** @param type of statfs(2) */
export function fileSystemName(type: number): string {
  return fileSystems[type >>> 0] ?? `0x${(type >>> 0).toString(16)}`;
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
