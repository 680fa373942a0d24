/** Capabilities and `--security-opt`. Pure. */
import { GantryError } from "../lib/index.ts";
import {
  capabilityNames,
  defaultCapabilities,
  defaultSeccompProfile,
  type SeccompProfile,
} from "../runtime/index.ts";
import type { HostConfig } from "./container.ts";
import { resolveSeccompProfile } from "./seccomp-profile.ts";

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  /** False: nothing in /proc and /sys is masked or read-only. */
  readonly systemPaths: boolean;
  /** "" is the default profile; "unconfined", or a profile as JSON. */
  readonly seccomp: string;
}

/** The later of two options wins. */
export function securityOptions(options: readonly string[]): SecurityOptions {
  let noNewPrivileges = false;
  let systemPaths = true;
  let seccomp = "";
  for (const option of options) {
    const at = option.search(/[:=]/);
    const name = at < 0 ? option : option.slice(0, at);
    const value = at < 0 ? "" : option.slice(at + 1);
    if (name === "no-new-privileges") noNewPrivileges = value !== "false";
    else if (name === "systempaths") systemPaths = value !== "unconfined";
    else if (name === "seccomp") seccomp = value === "builtin" ? "" : value;
  }
  return { noNewPrivileges, systemPaths, seccomp };
}

/** @throws {GantryError} "invalid" for a profile that is none */
export function seccompFor(option: string, capabilities: readonly string[]): SeccompProfile | undefined {
  if (option === "unconfined") return undefined;
  if (option === "") return defaultSeccompProfile(capabilities);
  return resolveSeccompProfile(option, capabilities);
}

/** "net_admin" is CAP_NET_ADMIN. @throws {GantryError} "invalid" */
function capabilityName(text: string): string {
  const upper = text.toUpperCase();
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (name === "CAP_ALL") return "ALL";
  if (!capabilityNames.includes(name)) {
    throw new GantryError("invalid", `invalid capability: ${JSON.stringify(text.slice(0, 64))}`, {
      hint: "names are those of capabilities(7), with or without CAP_; ALL is all of them",
    });
  }
  return name;
}

/**
 * The capabilities that are left of Docker's defaults after `--cap-drop` and `--cap-add`; all with `--privileged`.
 * @throws {GantryError} "invalid" for an unknown name
 */
export function grantedCapabilities(
  host: Pick<HostConfig, "Privileged" | "CapAdd" | "CapDrop">,
): readonly string[] {
  const add = host.CapAdd.map(capabilityName);
  const drop = host.CapDrop.map(capabilityName);
  if (host.Privileged) return capabilityNames;
  const base = add.includes("ALL") ? capabilityNames : drop.includes("ALL") ? [] : defaultCapabilities;
  const granted = new Set(base);
  for (const name of add) if (name !== "ALL") granted.add(name);
  // A capability that is both added and dropped stays only where everything else is dropped, as with dockerd.
  for (const name of drop) if (name !== "ALL") granted.delete(name);
  return capabilityNames.filter((name) => granted.has(name));
}
