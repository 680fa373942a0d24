/** What a container uses at one moment: cgroups and its network interfaces. */
import { readFileSync } from "node:fs";
import { isErrno } from "../../lib/index.ts";
import { type CgroupStats, readCgroupStats } from "../../runtime/index.ts";
import { isAlive } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { networkKind } from "../network-mode.ts";
import { cgroupPath } from "../paths.ts";

export interface InterfaceStats {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface ContainerStats {
  readonly id: string;
  readonly name: string;
  readonly readAtMs: number;
  readonly running: boolean;
  /** Of the whole machine, all cpus together. */
  readonly systemCpuNs: number;
  readonly onlineCpus: number;
  /** Of the machine: a container without a limit has this one. */
  readonly memoryTotalBytes: number;
  /** Parts that this machine does not count are missing. */
  readonly usage: CgroupStats;
  /** By name; empty for the host's network and for none. */
  readonly networks: Readonly<Record<string, InterfaceStats>>;
}

/** A container that does not run uses nothing. */
export function readStats(
  { cgroups, paths }: EngineContext,
  { record, state }: StoredContainer,
): ContainerStats {
  const running = isAlive(state.status);
  const hasInterfaces = running && networkKind(record.host.NetworkMode).kind === "bridge";
  return {
    id: record.id,
    name: record.name,
    readAtMs: Date.now(),
    running,
    systemCpuNs: readSystemCpuNs(),
    onlineCpus: navigator.hardwareConcurrency,
    memoryTotalBytes:
      Number(/^MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0) * 1024,
    usage: running ? readCgroupStats(cgroups, cgroupPath(paths, record)) : {},
    networks: hasInterfaces ? readInterfaces(state.pid) : {},
  };
}

/** USER_HZ is 100 on every architecture that Gantry runs on. */
const tickNs = 10_000_000;

/** As dockerd: the first line of /proc/stat, without guest time, which is counted in user time already (proc(5)). */
function readSystemCpuNs(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "";
  return (
    line
      .split(/\s+/)
      .slice(1, 8)
      .reduce((sum, ticks) => sum + Number(ticks), 0) * tickNs
  );
}

function readInterfaces(pid: number): Readonly<Record<string, InterfaceStats>> {
  try {
    return parseNetDev(readFileSync(`/proc/${pid}/net/dev`, "utf8"));
  } catch (error) {
    // It ended in this moment.
    if (isErrno(error, "ENOENT", "ESRCH", "EINVAL")) return {};
    throw error;
  }
}

/** /proc/net/dev (proc(5)) without the loopback. Pure. */
export function parseNetDev(text: string): Readonly<Record<string, InterfaceStats>> {
  const found: Record<string, InterfaceStats> = {};
  for (const line of text.split("\n").slice(2)) {
    const [name = "", rest = ""] = line.split(":");
    const n = rest.trim().split(/\s+/).map(Number);
    if (name.trim() === "" || name.trim() === "lo" || n.length < 12) continue;
    const at = (index: number): number => n[index] ?? 0;
    found[name.trim()] = {
      rxBytes: at(0),
      rxPackets: at(1),
      rxErrors: at(2),
      rxDropped: at(3),
      txBytes: at(8),
      txPackets: at(9),
      txErrors: at(10),
      txDropped: at(11),
    };
  }
  return found;
}
