/** The attributes of the event `daemon reload`, by dockerd's names. Pure. */
import type { LiveSettings } from "./engine-settings.ts";

export function describeSettings({
  logLevel,
  labels,
  registries,
  transfers,
  runtimes,
  containers,
  shutdownTimeoutMs,
}: LiveSettings): Readonly<Record<string, string>> {
  return {
    debug: String(logLevel === "debug"),
    "default-ipc-mode": containers.ipcMode,
    "default-runtime": containers.runtime || "gantry",
    "default-shm-size": String(containers.shmSize),
    "insecure-registries": JSON.stringify(registries.insecure),
    labels: JSON.stringify(labels),
    "live-restore": "true",
    "max-concurrent-downloads": String(transfers.downloads),
    "max-concurrent-uploads": String(transfers.uploads),
    "max-download-attempts": String(transfers.attempts),
    "registry-mirrors": JSON.stringify(registries.hosts["docker.io"]?.mirrors ?? []),
    runtimes: JSON.stringify(
      Object.fromEntries(Object.entries(runtimes).map(([name, path]) => [name, { path }])),
    ),
    "shutdown-timeout": String(shutdownTimeoutMs / 1000),
  };
}
