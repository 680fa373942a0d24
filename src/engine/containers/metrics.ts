/** GET /metrics: containers by state, what each running one uses, and the engine's own footprint (Prometheus text format 0.0.4). */
import { readdirSync } from "node:fs";
import { readCgroupStats } from "../../runtime/index.ts";
import { type ContainerStatus, isAlive } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { cgroupPath } from "../paths.ts";

const statuses: readonly ContainerStatus[] = [
  "created",
  "running",
  "paused",
  "restarting",
  "removing",
  "exited",
  "dead",
];

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Cgroup files are read now, for running containers only. */
export function containerMetrics(context: EngineContext): string {
  const all = context.store.list();
  const running = all
    .filter(({ state }) => isAlive(state.status))
    .map(({ record, state }) => ({
      labels: { id: record.id, name: record.name, image: record.config.Image },
      usage: readCgroupStats(context.cgroups, cgroupPath(context.paths, record)),
      startedAtMs: state.startedAtMs,
    }));
  const each = (read: (container: (typeof running)[number]) => number | undefined): Sample[] =>
    running.flatMap((container) => {
      const value = read(container);
      return value === undefined ? [] : [{ labels: container.labels, value }];
    });
  return [
    family(
      "gantry_containers",
      "gauge",
      "Containers by state.",
      statuses.map((state) => ({
        labels: { state },
        value: all.filter((c) => c.state.status === state).length,
      })),
    ),
    family(
      "gantry_container_cpu_seconds_total",
      "counter",
      "CPU time of a container.",
      each(({ usage }) => seconds(usage.cpu?.totalNs)),
    ),
    family(
      "gantry_container_cpu_throttled_seconds_total",
      "counter",
      "Time a container was throttled by its CPU limit.",
      each(({ usage }) => seconds(usage.cpu?.throttledNs)),
    ),
    family(
      "gantry_container_memory_bytes",
      "gauge",
      "Memory of a container, page cache included.",
      each(({ usage }) => usage.memory?.usage),
    ),
    family(
      "gantry_container_memory_limit_bytes",
      "gauge",
      "Memory limit of a container that has one.",
      each(({ usage }) => usage.memory?.limit),
    ),
    family(
      "gantry_container_oom_kills_total",
      "counter",
      "Processes of a container killed for want of memory.",
      each(({ usage }) => usage.memory?.oomKills),
    ),
    family(
      "gantry_container_pids",
      "gauge",
      "Processes and threads of a container.",
      each(({ usage }) => usage.pids?.current),
    ),
    family(
      "gantry_container_start_time_seconds",
      "gauge",
      "Start of a container since 1970.",
      each(({ startedAtMs }) => startedAtMs / 1000),
    ),
    family("gantry_engine_resident_bytes", "gauge", "Memory of the engine.", [
      { labels: {}, value: process.memoryUsage().rss },
    ]),
    family("gantry_engine_open_fds", "gauge", "Open files of the engine.", [
      { labels: {}, value: readdirSync("/proc/self/fd").length },
    ]),
  ].join("");
}

function seconds(ns: number | undefined): number | undefined {
  return ns === undefined ? undefined : ns / 1e9;
}

/** One metric with its help; nothing when it has no samples. Pure. */
export function family(
  name: string,
  type: "gauge" | "counter",
  help: string,
  samples: readonly Sample[],
): string {
  if (samples.length === 0) return "";
  const lines = samples.map(({ labels, value }) => `${name}${renderLabels(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([key, value]) => `${key}="${value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
