/** The door to systemd: what is behind it is read from the program only for containers with --systemd-cgroup. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import type { OciConfig, OciResources } from "../oci-types.ts";
import type { SystemdScope } from "../systemd-unit.ts";

/** A process that holds the scope until the container's is in it. */
export interface Placeholder {
  end(): void;
}

export interface SystemdScopes {
  /** The config with the path of its scope instead of `slice:prefix:name`. */
  placeInSystemd(config: OciConfig, id: string): { readonly config: OciConfig; readonly scope: SystemdScope };
  /** @throws {GantryError} with systemd's words, when nothing is left of it */
  startScope(config: OciConfig, id: string, scope: SystemdScope, cgroups: CgroupLayout): Placeholder;
  /** Tells systemd of new limits, so that it does not put the old ones back. */
  updateScope(cgroupsPath: string, resources: OciResources, cgroups: CgroupLayout): void;
  /** A scope that is gone is fine, and so is a systemd that is. */
  stopScope(cgroupsPath: string): void;
}

let offered: SystemdScopes | undefined;

/** Called by the module behind the door. */
export function offerSystemd(scopes: SystemdScopes): void {
  offered = scopes;
}

export function systemdScopes(): SystemdScopes {
  if (offered === undefined) host.load("verbs-systemd.js");
  if (offered === undefined) throw new GantryError("internal", "no module offers systemd's scopes");
  return offered;
}
