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
  /** undefined: the default profile, or none with `--privileged`; "builtin", "unconfined", or a profile as JSON. */
  readonly seccomp: string | undefined;
  /** "": the engine says nothing. */
  readonly appArmor: string;
  /** undefined: only with `--privileged`. */
  readonly writableCgroups: boolean | undefined;
}

const unset: SecurityOptions = {
  noNewPrivileges: false,
  systemPaths: true,
  seccomp: undefined,
  appArmor: "",
  writableCgroups: undefined,
};

/** The later of two options wins. @throws {GantryError} "invalid", worded as dockerd does */
export function securityOptions(options: readonly string[]): SecurityOptions {
  return options.reduce((sum, option) => ({ ...sum, ...readOption(option) }), unset);
}

function readOption(option: string): Partial<SecurityOptions> {
  // Labels are SELinux's, which Gantry as dockerd by default leaves off.
  if (option === "disable") return {};
  if (option === "no-new-privileges") return { noNewPrivileges: true };
  if (option === "writable-cgroups") return { writableCgroups: true };
  const at = option.includes("=") ? option.indexOf("=") : option.indexOf(":");
  if (at < 0) throw invalidOption(1, option);
  const value = option.slice(at + 1);
  switch (option.slice(0, at)) {
    case "label":
      return {};
    case "apparmor":
      return { appArmor: value };
    case "seccomp":
      return { seccomp: value === "" ? undefined : value };
    case "no-new-privileges":
      return { noNewPrivileges: booleanOf(value, option) };
    case "writable-cgroups":
      return { writableCgroups: booleanOf(value, option) };
    case "systempaths":
      // docker's client turns it into empty lists of paths; other clients may send it as it is.
      if (value === "unconfined") return { systemPaths: false };
      throw invalidOption(2, option);
    default:
      throw invalidOption(2, option);
  }
}

/** The words of Go's strconv.ParseBool. */
function booleanOf(text: string, option: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  throw invalidOption(2, option);
}

/** dockerd numbers the two places that find it. */
function invalidOption(place: 1 | 2, option: string): GantryError {
  return new GantryError(
    "invalid",
    `invalid --security-opt ${place}: ${JSON.stringify(option.slice(0, 200))}`,
  );
}

/**
 * A profile that is asked for is kept by a privileged container, too.
 * @param usual the engine's own, as `--security-opt seccomp=` has it; undefined: the built-in one
 * @throws {GantryError} "invalid" for one that is none
 */
export function seccompFor(
  host: Pick<HostConfig, "Privileged" | "CapAdd" | "CapDrop" | "SecurityOpt">,
  usual?: string,
): SeccompProfile | undefined {
  const { seccomp = host.Privileged ? undefined : usual } = securityOptions(host.SecurityOpt);
  if (seccomp === "unconfined" || (host.Privileged && seccomp === undefined)) return undefined;
  const capabilities = grantedCapabilities(host);
  if (seccomp === undefined || seccomp === "builtin") return defaultSeccompProfile(capabilities);
  return resolveSeccompProfile(seccomp, capabilities);
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
