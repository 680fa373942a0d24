/** Volumes as the volume calls show them (Docker Engine API 1.50). Pure. */
import type { Volume } from "../../volume/index.ts";

export interface VolumeUse {
  readonly size: number;
  /** Containers that mount it. */
  readonly users: number;
}

export function wireVolume(volume: Volume, use?: VolumeUse): object {
  return {
    CreatedAt: new Date(volume.createdAtMs).toISOString(),
    Driver: volume.driver,
    Labels: Object.keys(volume.labels).length === 0 ? null : volume.labels,
    Mountpoint: volume.path,
    Name: volume.name,
    Options: Object.keys(volume.options).length === 0 ? null : volume.options,
    Scope: "local",
    ...(use === undefined ? {} : { UsageData: { Size: use.size, RefCount: use.users } }),
  };
}
