/** A new container: checked completely, then recorded. Its directories are made by its first start. */
import { existsSync } from "node:fs";
import type { ImageRecord } from "../../image/index.ts";
import { parseSignal } from "../../kernel/index.ts";
import { GantryError, newId } from "../../lib/index.ts";
import type { CreateRequest } from "../api/parse-create.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { blockIo } from "../block-devices.ts";
import { withEngineDefaults } from "../engine-defaults.ts";
import { hostDevices } from "../host-devices.ts";
import { logSettings } from "../log-settings.ts";
import { networkKind } from "../network-mode.ts";
import { checkControllers } from "../oci-resources.ts";
import { grantedCapabilities, seccompFor } from "../oci-security.ts";
import { randomName } from "../random-name.ts";
import { toRlimit } from "../ulimits.ts";
import { containerAttributes } from "./container-events.ts";
import { removeUnusedVolumes } from "./dispose.ts";
import { fitHost } from "./fit-host.ts";
import { inheritedMounts } from "./inherit-mounts.ts";
import { leaseOf } from "./lease.ts";
import { mergeConfig } from "./merge-config.ts";
import { mountsOf, requestedMounts, volumeUses } from "./mount-spec.ts";
import { ensureVolume } from "./prepare-mounts.ts";

export interface Created {
  readonly id: string;
  readonly warnings: readonly string[];
  /** Volumes that were not there before. */
  readonly madeVolumes: readonly string[];
}

/**
 * The record is written first, then its volumes are made: a crash leaves a container whose start makes what is missing.
 * @throws {GantryError} "not-found" (image), "conflict" (name), "invalid" (network, device, bind source …), "unsupported"; nothing stays
 */
export async function createContainer(context: EngineContext, asked: CreateRequest): Promise<Created> {
  const { store, images, events, volumes } = context;
  const image = findImage(context, asked.config.Image);
  const fit = fitHost(context, withEngineDefaults(asked.host, asked.unset ?? [], context.defaults));
  const request = { ...asked, host: fit.host };
  // Nothing below waits: no removal of the image can come between here and the record that keeps it.
  using hold = images.hold();
  hold.keep(image.id);
  const record = newRecord(context, request, image);
  const warnings = [...request.warnings, ...fit.warnings, ...check(context, record)];
  store.insert(record);
  images.lease(leaseOf(record.id), image.id);
  const madeVolumes: string[] = [];
  try {
    for (const mount of mountsOf(record)) {
      if (mount.type !== "volume" || volumes.tryFind(mount.name) !== undefined) continue;
      ensureVolume(context, record, mount);
      madeVolumes.push(mount.name);
    }
  } catch (error) {
    store.delete(record.id);
    images.endLease(leaseOf(record.id));
    await removeUnusedVolumes(context, madeVolumes, record.id);
    throw error;
  }
  events.emit("container", "create", record.id, containerAttributes(record));
  return { id: record.id, warnings, madeVolumes };
}

function findImage({ images }: EngineContext, reference: string): ImageRecord {
  const image = images.tryFind(reference);
  if (image !== undefined) return image;
  const name = /[:@][^/]*$/.test(reference) ? reference : `${reference}:latest`;
  throw new GantryError("not-found", `No such image: ${name}`, {
    hint: "bring it in with: gantry pull, build, load, import or image bootstrap",
  });
}

function newRecord(
  { store, host }: EngineContext,
  request: CreateRequest,
  image: ImageRecord,
): ContainerRecord {
  const id = newId();
  const config = mergeConfig({ id, ...request, hostname: host.hostname }, image.config.config);
  const inherited = inheritedMounts(
    request.host.VolumesFrom,
    (reference) => store.tryFind(reference)?.record,
  );
  const mounts = requestedMounts(config, request.host, inherited);
  return {
    id,
    name: request.name || randomName((name) => store.nameTaken(name)),
    createdAtMs: Date.now(),
    imageId: image.id,
    config,
    host: request.host,
    network: request.network,
    volumes: volumeUses(mounts, newId),
    ...(inherited.length === 0 ? {} : { inherited }),
  };
}

/** What would make each start fail is refused now. Returns warnings. */
function check(context: EngineContext, record: ContainerRecord): string[] {
  const { host, config } = record;
  context.runtimes.programOf(host.Runtime ?? "");
  checkControllers(host, context.cgroups);
  seccompFor(host);
  grantedCapabilities(host);
  host.Ulimits.forEach(toRlimit);
  hostDevices({ Devices: host.Devices, Privileged: false });
  blockIo(host);
  logSettings(host.LogConfig);
  if (config.StopSignal !== "") parseSignal(config.StopSignal);
  const kind = networkKind(host.NetworkMode);
  if (kind.kind === "bridge") checkNetwork(context, kind.network);
  if (mountsOf(record).some(({ type }) => type === "volume")) checkVolumeDriver(host.VolumeDriver);
  for (const mount of mountsOf(record)) {
    if (mount.type === "bind" && !mount.createSource && !existsSync(mount.source))
      throw missingSource(mount.source);
  }
  return warningsFor(record);
}

/** Docker's client takes a "not found" of a create for the image's and would go and pull it. */
function checkNetwork({ networks }: EngineContext, name: string): void {
  try {
    networks.find(name);
  } catch (error) {
    if (!(error instanceof GantryError) || error.code !== "not-found") throw error;
    throw new GantryError("invalid", error.message, {
      cause: error,
      hint: `make it with: gantry network create ${name.slice(0, 100)} (see: gantry network ls)`,
    });
  }
}

/** Not "not-found", which docker's client takes for the image's and would go and pull it. */
function checkVolumeDriver(driver: string): void {
  if (["", "local"].includes(driver)) return;
  throw new GantryError("invalid", `error looking up volume plugin ${driver}: plugin "${driver}" not found`, {
    hint: "Gantry has the volume driver local",
  });
}

function missingSource(path: string): GantryError {
  return new GantryError(
    "invalid",
    `invalid mount config for type "bind": bind source path does not exist: ${path}`,
    {
      hint: "create it, or use -v, which creates a missing directory",
    },
  );
}

function warningsFor({ host }: ContainerRecord): string[] {
  const warnings: string[] = [];
  const kind = networkKind(host.NetworkMode).kind;
  if (kind !== "bridge" && Object.keys(host.PortBindings).length > 0) {
    warnings.push(`Published ports are discarded when using ${kind} network mode`);
  }
  return warnings;
}
