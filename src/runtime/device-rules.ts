/** linux.resources.devices, with what every container may use. Pure. */
import type { DeviceRule } from "../kernel/index.ts";
import { alwaysAllowedDevices, defaultDeviceRules } from "./defaults.ts";
import type { OciResources } from "./oci-types.ts";

/** The config's rules (none: deny all), then what every container may use. */
export function deviceRules(resources: OciResources): readonly DeviceRule[] {
  const rules = (resources.devices ?? []).map(withKnownAccess);
  return [...(rules.length > 0 ? rules : defaultDeviceRules), ...alwaysAllowedDevices];
}

/** Of other letters only "a" gets here, which means nothing to the kernel: as with runc it is passed over. */
function withKnownAccess(rule: DeviceRule): DeviceRule {
  return rule.access?.includes("a") === true ? { ...rule, access: rule.access.replace(/a/g, "") } : rule;
}

/** As devices.allow takes it: `c 1:3 rwm`, `a` for everything. */
export function deviceLine(rule: DeviceRule): string {
  const type = rule.type ?? "a";
  if (type === "a") return "a";
  const number = (value: number | undefined): string =>
    value === undefined || value < 0 ? "*" : String(value);
  return `${type} ${number(rule.major)}:${number(rule.minor)} ${rule.access ?? "rwm"}`;
}
