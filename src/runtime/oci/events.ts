/** `gantry-oci events`: what a container uses, again and again, and its deaths for lack of memory. */
import { GantryError } from "../../lib/index.ts";
import { interfaceOf } from "../cgroup-limits.ts";
import { cgroupReader, cgroupsPathOf } from "./container-cgroups.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords, type ParsedFlags } from "./flags.ts";
import { hostCgroupIo, hostCgroups, tryReadText } from "./host-cgroups.ts";
import { rdtFigures } from "./intel-rdt.ts";
import { jsonText } from "./json-text.ts";
import { OomWatch } from "./oom-watch.ts";
import { isAlive } from "./process-identity.ts";
import { parseDuration } from "./size-words.ts";
import { statsData, type StatsSource } from "./stats-event.ts";

const defaultIntervalMs = 5_000;

export function events({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("events", flags, 1);
  const intervalMs = intervalOf(flags);
  const dir = new ContainerDir(global.root, id);
  const stored = dir.read();
  if (intervalMs <= 0)
    throw new GantryError("invalid", "duration interval must be greater than 0", {
      hint: "give --interval such as 5s or 100ms",
    });
  if (dir.statusOf(stored) === "stopped")
    throw new GantryError("conflict", `container with id ${id} is not running`);
  if (flags.is("stats")) print(statsLine(stored));
  else follow(stored, intervalMs);
  return 0;
}

function intervalOf(flags: ParsedFlags): number {
  const text = flags.text("interval");
  const ms = text === undefined ? defaultIntervalMs : parseDuration(text);
  if (ms === undefined)
    throw new GantryError(
      "invalid",
      `invalid value ${JSON.stringify(text)} for flag -interval: parse error`,
      {
        hint: "give a number with its unit, such as 5s or 100ms",
      },
    );
  return ms;
}

/** Until the container ends. Sleeps in poll: nothing is asked of the kernel between two lines. */
function follow(stored: StoredState, intervalMs: number): void {
  const oom = new OomWatch(hostCgroups(), cgroupsPathOf(stored));
  const end = endOf(stored);
  try {
    let next = host.monotonic() + intervalMs;
    for (;;) {
      oom.wait(Math.max(0, next - host.monotonic()), end);
      for (let count = oom.news(); count > 0; count--) print(`${jsonText({ type: "oom", id: stored.id })}\n`);
      if (stored.process === undefined || !isAlive(stored.process)) return;
      if (host.monotonic() < next) continue;
      print(statsLine(stored));
      next = Math.max(next + intervalMs, host.monotonic());
    }
  } finally {
    oom.close();
    if (end !== undefined) host.close(end);
  }
}

/** A pidfd, which becomes readable when the process ends; undefined when it just did. */
function endOf({ process }: StoredState): number | undefined {
  if (process === undefined) return undefined;
  try {
    return host.pidfdOpen(process.pid);
  } catch (error) {
    if (isAlive(process)) throw error;
    return undefined;
  }
}

function statsLine(stored: StoredState): string {
  return `${jsonText({ type: "stats", id: stored.id, data: statsData(sourceOf(stored)) })}\n`;
}

function sourceOf(stored: StoredState): StatsSource {
  const cgroups = hostCgroups();
  const intelRdt = rdtFigures(stored.config, stored.id);
  const ownNetwork = stored.config.linux?.namespaces?.some(({ type }) => type === "network") === true;
  const netDev = ownNetwork ? tryReadText(`/proc/${stored.process?.pid ?? 0}/net/dev`) : undefined;
  return {
    read: cgroupReader(cgroups, cgroupsPathOf(stored)),
    interfaceOf: (controller) => interfaceOf(cgroups, controller),
    hugePages: hugePageSizes(hostCgroupIo.list("/sys/kernel/mm/hugepages") ?? []),
    ...(intelRdt === undefined ? {} : { intelRdt }),
    ...(netDev === undefined ? {} : { netDev }),
  };
}

/** `hugepages-2048kB` as "2MB", as cgroup files spell it. Pure. */
export function hugePageSizes(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const kb = Number(/^hugepages-([0-9]+)kB$/.exec(name)?.[1] ?? 0);
    if (kb === 0) return [];
    if (kb >= 1 << 20) return [`${kb >> 20}GB`];
    return [kb >= 1 << 10 ? `${kb >> 10}MB` : `${kb}KB`];
  });
}
