/** /_ping, /version, /info, /system/df, /auth. */
import { readdirSync } from "node:fs";
import { GantryError } from "../../lib/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { fileSystemName, machineFacts } from "./machine.ts";
import { imagesUse } from "./image-use.ts";
import { type Call, Reply, type Router } from "./router.ts";
import { sizesOf } from "./routes-containers.ts";
import { wireSummary } from "./wire-container.ts";
import { notCounted, wireImageSummary } from "./wire-image.ts";
import { wireInfo, wireVersion } from "./wire-system.ts";
import { wireVolume } from "./wire-volume.ts";

/** Version 1 is the classic builder: the docker command then builds by POST /build. */
const pingHeaders = {
  "Builder-Version": "1",
  "Cache-Control": "no-cache, no-store, must-revalidate",
  Pragma: "no-cache",
  Swarm: "inactive",
} as const;

export function addSystemRoutes(router: Router, engine: ApiEngine): void {
  router.json("GET", "/_ping", () => new Reply(200, "OK", pingHeaders));
  router.json(
    "HEAD",
    "/_ping",
    () => new Reply(200, undefined, { ...pingHeaders, "Content-Type": "text/plain; charset=utf-8" }),
  );
  router.json("GET", "/version", () => wireVersion(machineFacts()));
  router.json("GET", "/info", () =>
    wireInfo({
      id: engine.id,
      root: engine.paths.root,
      fileSystem: fileSystemName(engine.sys.statfs(engine.paths.root).type),
      host: machineFacts(),
      containers: engine.containers.list(),
      images: engine.images.list().length,
      snapshotter: engine.images.snapshotter,
      settings: engine.live,
      listeners: engine.events.listenerCount(),
      openFiles: readdirSync("/proc/self/fd").length,
      now: new Date(),
      runtimes: engine.runtimes.list(),
    }),
  );
  router.json("GET", "/system/df", (call) => diskUsage(engine, call));
}

/** What images, containers, volumes and the build cache take; `type` names those that are wanted. */
async function diskUsage({ images, containers, volumes }: ApiEngine, { query }: Call): Promise<object> {
  const types = query.getAll("type");
  for (const type of types) {
    if (!["container", "image", "volume", "build-cache"].includes(type))
      throw new GantryError("invalid", `unknown object type: ${type.slice(0, 40)}`);
  }
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  // Before anything is listed: containers and images may go while it is waited for.
  const disk = wants("image") ? await images.diskUsage() : undefined;
  const views = containers.list();
  const list = images.list();
  const use = imagesUse(
    list,
    (chainId) => images.layer(chainId),
    views.map(({ record }) => record.imageId),
  );
  const now = Date.now();
  return {
    // What `du` says of the image room's directories: see docs/garbage-collection.md.
    LayersSize: disk?.totalBytes ?? 0,
    Images:
      disk === undefined
        ? null
        : disk.images.flatMap(({ id, bytes, sharedBytes }) => {
            const image = images.tryFind(id);
            if (image === undefined) return [];
            const { containers: count } = use.of.get(id) ?? notCounted;
            const counted = { containers: Math.max(0, count), sharedSize: sharedBytes };
            // Older clients show the second of the two.
            return [{ ...wireImageSummary(image, counted), Size: bytes, VirtualSize: bytes }];
          }),
    Containers: wants("container")
      ? await Promise.all(
          views.map(async (view) => ({
            ...wireSummary(view, now),
            ...(await sizesOf(containers, view.record.id)),
          })),
        )
      : null,
    Volumes: wants("volume")
      ? await Promise.all(
          volumes.list().map(async (volume) =>
            wireVolume(volume, {
              size: await volumes.usage(volume.name),
              users: containers.volumeUsers(volume.name).length,
            }),
          ),
        )
      : null,
    // Images of build steps are images like others: there is no cache beside them.
    BuildCache: wants("build-cache") ? [] : null,
    BuilderSize: 0,
  };
}
