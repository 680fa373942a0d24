/** Devices of the host that a container gets: `--device`, or all of them with `--privileged`. */
import { lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { GantryError, isErrno } from "../lib/index.ts";
import type { OciDevice } from "../runtime/index.ts";
import type { DeviceRequest, HostConfig } from "./container.ts";

export interface HostDevice extends OciDevice {
  /** Of `r`, `w`, `m`. */
  readonly access: string;
}

/** Made anew or mounted in each container. */
const notShared = new Set([
  "pts",
  "shm",
  "fd",
  "mqueue",
  "console",
  ".lxc",
  ".lxd-mounts",
  ".udev",
  "ptmx",
  "stdin",
  "stdout",
  "stderr",
  "core",
]);
const maxDevices = 4096;

/**
 * @throws {GantryError} "invalid" for bad permissions or a path that is no device; not "not-found", which clients take for the
 * image's
 */
export function hostDevices(host: Pick<HostConfig, "Devices" | "Privileged">): readonly HostDevice[] {
  if (!host.Privileged) return host.Devices.flatMap(requestedDevices);
  // All are there already; some are wanted at a further place.
  const moved = host.Devices.filter(({ PathOnHost, PathInContainer }) => PathOnHost !== PathInContainer);
  return [
    ...devicesBelow("/dev", "/dev", "rwm"),
    ...moved.flatMap((request) => requestedDevices({ ...request, CgroupPermissions: "rwm" })),
  ];
}

/**
 * `--gpus` and the like: no driver is here that could take any.
 * @throws {GantryError} "invalid", worded as a dockerd without the vendor's runtime
 */
export function refuseDrivers({ DeviceRequests }: Pick<HostConfig, "DeviceRequests">): void {
  for (const { Driver, Capabilities } of DeviceRequests) {
    const lists = Capabilities.map((list) => `[${list.join(" ")}]`).join(" ");
    throw new GantryError(
      "invalid",
      `could not select device driver ${JSON.stringify(Driver)} with capabilities: [${lists}]`,
      { hint: "give the container its device files by --device" },
    );
  }
}

function requestedDevices(request: DeviceRequest): readonly HostDevice[] {
  const { PathOnHost, PathInContainer, CgroupPermissions } = request;
  if (!/^[rwm]{1,3}$/.test(CgroupPermissions)) {
    throw new GantryError("invalid", `invalid device mode: ${CgroupPermissions}`, {
      hint: "of the letters r, w and m",
    });
  }
  let stat: Stats;
  try {
    stat = statSync(PathOnHost);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    throw new GantryError(
      "invalid",
      `error gathering device information while adding custom device "${PathOnHost}": no such file or directory`,
    );
  }
  if (stat.isDirectory()) return devicesBelow(PathOnHost, PathInContainer, CgroupPermissions);
  const device = toDevice(stat, PathInContainer, CgroupPermissions);
  if (device === undefined) {
    throw new GantryError(
      "invalid",
      `error gathering device information while adding custom device "${PathOnHost}": not a device node`,
    );
  }
  return [device];
}

function devicesBelow(dir: string, inside: string, access: string): HostDevice[] {
  const found: HostDevice[] = [];
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (notShared.has(entry.name) || found.length >= maxDevices) continue;
    const path = join(dir, entry.name);
    const target = join(inside, entry.name);
    if (entry.isDirectory()) found.push(...devicesBelow(path, target, access));
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      const device = toDevice(lstatSync(path), target, access);
      if (device !== undefined) found.push(device);
    }
  }
  return found;
}

/** `dev_t` as glibc packs it (makedev(3)). */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const packed = BigInt(rdev);
  return {
    major: Number(((packed >> 8n) & 0xfffn) | ((packed >> 32n) & 0xffff_f000n)),
    minor: Number((packed & 0xffn) | ((packed >> 12n) & 0xffff_ff00n)),
  };
}

function toDevice(stat: Stats, path: string, access: string): HostDevice | undefined {
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined;
  return {
    path,
    type: stat.isCharacterDevice() ? "c" : "b",
    ...deviceNumbers(stat.rdev),
    fileMode: stat.mode & 0o777,
    uid: stat.uid,
    gid: stat.gid,
    access,
  };
}
