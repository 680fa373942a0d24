/** Images as GET /images/json and /images/{name}/json show them (Docker Engine API 1.50). Pure. */
import type { HistoryRow, ImageRecord, RemovedItem, SnapshotterName } from "../../image/index.ts";

const isoTime = (ms: number): string => (ms === 0 ? "0001-01-01T00:00:00Z" : new Date(ms).toISOString());

export interface ImageUse {
  /** Containers of this image; -1: not counted. */
  readonly containers: number;
  /** Bytes of layers that other images have too; -1: not counted. */
  readonly sharedSize: number;
}

export const notCounted: ImageUse = { containers: -1, sharedSize: -1 };

/** One entry of the list. */
export function wireImageSummary(image: ImageRecord, use: ImageUse): object {
  return {
    Id: image.id,
    ParentId: image.parent ?? "",
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Created: Math.floor(image.createdAtMs / 1000),
    Size: image.size,
    SharedSize: use.sharedSize,
    VirtualSize: image.size,
    Labels: image.config.config.Labels ?? null,
    Containers: use.containers,
  };
}

/** The whole of `docker image inspect`. */
export function wireImage(image: ImageRecord): object {
  const { config } = image;
  const defaults = config.config;
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: image.parent ?? "",
    Comment: config.history.at(-1)?.comment ?? "",
    Created: config.created ?? isoTime(image.createdAtMs),
    DockerVersion: "",
    Author: config.author ?? "",
    Config: {
      Hostname: "",
      Domainname: "",
      User: "",
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: null,
      Cmd: null,
      Image: "",
      Volumes: null,
      WorkingDir: "",
      Entrypoint: null,
      OnBuild: null,
      Labels: null,
      ...defaults,
    },
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: image.size,
    VirtualSize: image.size,
    GraphDriver: { Name: driverNames[image.snapshotter], Data: graphData(image.layerDirs) },
    RootFS: {
      Type: "layers",
      ...(config.rootfs.diff_ids.length === 0 ? {} : { Layers: config.rootfs.diff_ids }),
    },
    Metadata: { LastTagTime: "0001-01-01T00:00:00Z" },
  };
}

/** As docker calls its drivers. */
export const driverNames: Readonly<Record<SnapshotterName, string>> = { overlay: "overlay2", erofs: "erofs" };

function graphData(lowers: readonly string[]): object {
  const [top, ...rest] = lowers;
  return {
    ...(rest.length === 0 ? {} : { LowerDir: rest.join(":") }),
    ...(top === undefined ? {} : { UpperDir: top }),
  };
}

export function wireHistory(rows: readonly HistoryRow[]): object[] {
  return rows.map((row) => ({
    Id: row.id,
    Created: Math.floor(row.createdAtMs / 1000),
    CreatedBy: row.createdBy,
    Tags: row.tags.length === 0 ? null : row.tags,
    Size: row.size,
    Comment: row.comment,
  }));
}

export function wireRemoved(items: readonly RemovedItem[]): object[] {
  return items.map((item) => ("untagged" in item ? { Untagged: item.untagged } : { Deleted: item.deleted }));
}
