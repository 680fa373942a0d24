/** Network devices of the host that the container gets (runtime-spec config-linux.md, "Network Devices"). Pure. */
import { GantryError } from "../lib/index.ts";
import type { OciConfig } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { MonitorStep } from "./plan-step.ts";

/** @throws {GantryError} "invalid" when the container shares the host's network, or two devices would have one name */
export function netDeviceSteps(config: OciConfig, because: Because): readonly MonitorStep[] {
  const devices = Object.entries(config.linux?.netDevices ?? {});
  if (devices.length === 0) return [];
  const network = config.linux?.namespaces?.find(({ type }) => type === "network");
  if (network === undefined)
    throw new GantryError(
      "invalid",
      "linux.netDevices: unable to move network devices without a private NET namespace",
      { hint: 'add {"type": "network"} to linux.namespaces' },
    );
  const taken = new Map<string, string>();
  return devices.map(([name, device]) => {
    const inside = (device?.name ?? "") === "" ? name : (device?.name ?? "");
    for (const one of [name, inside])
      if (!/^[^\s/:]{1,15}$/.test(one) || one === "." || one === "..")
        throw new GantryError(
          "invalid",
          `linux.netDevices.${name}: ${JSON.stringify(one)} is no name of a network device`,
        );
    // The kernel fills in a number for %d.
    const other = inside.includes("%d") ? undefined : taken.get(inside);
    if (other !== undefined)
      throw new GantryError("invalid", `linux.netDevices.${name}: ${other} gets the name ${inside}, too`);
    taken.set(inside, name);
    return {
      do: "move-device",
      name,
      inside,
      namespace: network.path ?? "",
      because: because("linux.netDevices of the config", `linux.netDevices.${name}`, "linux.netDevices"),
    };
  });
}
