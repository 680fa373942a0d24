/** `--device-cgroup-rule 'c 42:* rmw'`. Pure. */
import { GantryError } from "../lib/index.ts";
import type { DeviceRule } from "../runtime/index.ts";

/** `a` is block and character devices. @throws {GantryError} "invalid", worded as dockerd does */
export function parseDeviceRule(text: string): readonly DeviceRule[] {
  const match = /^([acb]) ([0-9]{1,10}|\*):([0-9]{1,10}|\*) ([rwm]{1,3})$/.exec(text);
  const [, type, major, minor, access] = match ?? [];
  if (type === undefined || access === undefined)
    throw new GantryError("invalid", `invalid device cgroup rule format: '${text}'`, {
      hint: "write TYPE MAJOR:MINOR ACCESS, such as 'c 42:* rmw'",
    });
  const numbers = {
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
  };
  const types = type === "a" ? (["b", "c"] as const) : [type === "b" ? ("b" as const) : ("c" as const)];
  return types.map((one) => ({ allow: true, type: one, ...numbers, access }));
}
