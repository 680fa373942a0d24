/** Device nodes and links in /dev (runtime-spec config-linux.md, "Devices" and "Default Devices"). Pure. */
import { defaultDeviceLinks, defaultDevices } from "./defaults.ts";
import { parseMountOptions } from "./mount-options.ts";
import type { OciConfig, OciDevice } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import { insidePath } from "./inside-path.ts";
import type { ContainerStep } from "./plan-step.ts";

/** S_IFCHR … by OCI's letter. */
const fileTypes: Readonly<Record<OciDevice["type"], number>> = {
  c: 0o020000,
  u: 0o020000,
  b: 0o060000,
  p: 0o010000,
};

/** Nothing when /dev is the host's: its devices are there, and must not be replaced. */
export function planDevices(config: OciConfig, because: Because): readonly ContainerStep[] {
  if (isHostDev(config)) return [];
  // /dev/ptmx is always the link to the container's own devpts: a device would be the host's.
  const own = (config.linux?.devices ?? []).filter(({ path }) => insidePath(path) !== "/dev/ptmx");
  const steps: ContainerStep[] = [];
  for (const device of defaultDevices)
    if (!own.some(({ path }) => insidePath(path) === device.path))
      steps.push(makeNode(device, because("the default devices")));
  for (const device of own)
    steps.push(
      makeNode(device, because("the config's devices", `linux.devices.${device.path}`, "linux.devices")),
    );
  for (const [inside, target] of defaultDeviceLinks)
    steps.push({
      do: "symlink",
      target,
      inside,
      because: because("the default devices"),
      // In a /dev of the image's own what it put there stays.
      ...(inside === "/dev/ptmx" ? { replace: true } : { optional: true }),
    });
  return steps;
}

function isHostDev(config: OciConfig): boolean {
  return (config.mounts ?? []).some(
    (mount) =>
      insidePath(mount.destination) === "/dev" &&
      (mount.type === "bind" || parseMountOptions(mount.options ?? []).bind),
  );
}

function makeNode(device: OciDevice, because: string): ContainerStep {
  return {
    do: "make-node",
    inside: insidePath(device.path),
    mode: fileTypes[device.type] | ((device.fileMode ?? 0o666) & 0o7777),
    major: device.major ?? 0,
    minor: device.minor ?? 0,
    uid: device.uid ?? 0,
    gid: device.gid ?? 0,
    because,
  };
}
