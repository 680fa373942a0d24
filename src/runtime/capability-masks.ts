/** Capability names (capabilities(7)) as the bit masks of capset(2). Pure. */
import { capabilityNames } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import type { OciCapabilities } from "./oci-types.ts";
import type { CapabilityMasks } from "./plan-step.ts";

/** @throws {GantryError} "invalid" for a name that is no capability */
export function capabilityMasks(sets: OciCapabilities = {}): CapabilityMasks {
  const permitted = mask(sets.permitted);
  const inheritable = mask(sets.inheritable);
  return {
    bounding: mask(sets.bounding),
    effective: mask(sets.effective),
    permitted,
    inheritable,
    // The kernel accepts in the ambient set only what is permitted and inheritable; as runc, the rest is left out.
    ambient: mask(sets.ambient) & permitted & inheritable,
  };
}

function mask(names: readonly string[] = []): bigint {
  let bits = 0n;
  for (const name of names) {
    const number = capabilityNames.findIndex((known) => known === name);
    if (number < 0)
      throw new GantryError("invalid", `there is no capability ${JSON.stringify(name)}`, {
        hint: "names are those of capabilities(7), such as CAP_NET_ADMIN",
      });
    bits |= 1n << BigInt(number);
  }
  return bits;
}
