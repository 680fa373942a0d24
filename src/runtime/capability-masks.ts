/** Capability names (capabilities(7)) as the bit masks of capset(2). Pure. */
import { capabilityNames } from "../kernel/index.ts";
import type { OciCapabilities } from "./oci-types.ts";
import type { CapabilityMasks } from "./plan-step.ts";

/** A name that is no capability counts for nothing; `unknownCapabilities` tells. */
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
    const number = capabilityNames.indexOf(name);
    if (number >= 0) bits |= 1n << BigInt(number);
  }
  return bits;
}

/** The names that no capability has, each once: they are passed over with a warning (runtime-spec config.md). */
export function unknownCapabilities(sets: OciCapabilities = {}): readonly string[] {
  const all = [sets.bounding, sets.effective, sets.permitted, sets.inheritable, sets.ambient];
  const unknown = new Set<string>();
  for (const names of all)
    for (const name of names ?? []) if (!capabilityNames.includes(name)) unknown.add(name);
  return [...unknown];
}

/** A warning in runc's words, or none. */
export function capabilityWarnings(sets: OciCapabilities | undefined): readonly string[] {
  const unknown = unknownCapabilities(sets);
  const warnings =
    unknown.length === 0 ? [] : [`ignoring unknown or unavailable capabilities: ${unknown.join(", ")}`];
  for (const name of sets?.ambient ?? [])
    if (capabilityNames.includes(name) && !(holds(sets?.permitted, name) && holds(sets?.inheritable, name)))
      warnings.push(`can't raise ambient capability ${name}: it must be permitted and inheritable, too`);
  return warnings;
}

function holds(set: readonly string[] | undefined, name: string): boolean {
  return set?.includes(name) === true;
}
