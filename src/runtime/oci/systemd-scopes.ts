/** The scopes of containers: made, changed and stopped by systemd. Loaded only when it is asked (systemd.ts). */
import { GantryError } from "../../lib/index.ts";
import type { CgroupLayout } from "../../kernel/index.ts";
import { annotationProperties } from "../systemd-annotations.ts";
import { Systemd, systemdAddress } from "../systemd-cgroup.ts";
import { resourceProperties, unitProperties, type UnitProperty } from "../systemd-properties.ts";
import { type SystemdScope, systemdScope } from "../systemd-unit.ts";
import type { OciConfig, OciResources } from "../oci-types.ts";
import { envOf } from "./context.ts";
import { tryReadText } from "./host-cgroups.ts";
import type { Placeholder } from "./systemd.ts";

/** Only root talks to the machine's systemd; everybody else to his own. */
function connect(): Systemd {
  return new Systemd(
    host,
    systemdAddress(host.uid() !== 0, envOf, (path) => host.access(path, 0)),
  );
}

function using<T>(work: (systemd: Systemd) => T): T {
  const systemd = connect();
  try {
    return work(systemd);
  } finally {
    systemd.close();
  }
}

/** The config with the path of its scope instead of `slice:prefix:name`. */
export function placeInSystemd(
  config: OciConfig,
  id: string,
): { readonly config: OciConfig; readonly scope: SystemdScope } {
  const user = host.uid() === 0 ? {} : { user: { managerCgroup: using((systemd) => systemd.cgroup()) } };
  const scope = systemdScope({ cgroupsPath: config.linux?.cgroupsPath ?? "", id, ...user });
  return { scope, config: { ...config, linux: { ...config.linux, cgroupsPath: scope.path } } };
}

/** Makes the scope. @throws {GantryError} with systemd's words, when nothing is left of it */
export function startScope(
  config: OciConfig,
  id: string,
  scope: SystemdScope,
  cgroups: CgroupLayout,
): Placeholder {
  const [near, far] = host.socketpair();
  let pid: number;
  try {
    // It waits for a plan that never comes, and ends when our end of the socket closes.
    pid = host.spawn({ file: "gantry-init", argv: ["gantry-init", "run"], env: [], fds: [-1, -1, -1, far] });
  } finally {
    host.close(far);
  }
  const placeholder: Placeholder = {
    end() {
      host.close(near);
      host.waitPid(pid, 1000);
    },
  };
  const v2 = cgroups.kind === "v2";
  try {
    using((systemd) =>
      systemd.startScope({
        unit: scope.unit,
        properties: [
          ...unitProperties({ ...scope, id, pid, v2 }),
          ...annotationProperties(config.annotations),
          ...limits(config.linux?.resources ?? {}, v2, systemd.version(), true),
        ],
      }),
    );
  } catch (error) {
    placeholder.end();
    throw error;
  }
  return placeholder;
}

/** Tells systemd of new limits, so that it does not put the old ones back. */
export function updateScope(cgroupsPath: string, resources: OciResources, cgroups: CgroupLayout): void {
  using((systemd) => {
    const changed = limits(resources, cgroups.kind === "v2", systemd.version(), false);
    systemd.setProperties(unitOf(cgroupsPath), changed);
  });
}

/** A scope that is gone is fine, and so is a systemd that is. */
export function stopScope(cgroupsPath: string): void {
  try {
    using((systemd) => systemd.stopScope(unitOf(cgroupsPath)));
  } catch (error) {
    // The cgroup is removed by us; without systemd nobody else knows of it.
    if (!(error instanceof GantryError && error.code === "unavailable")) throw error;
  }
}

function unitOf(cgroupsPath: string): string {
  return cgroupsPath.split("/").pop() ?? "";
}

// oxlint-disable-next-line max-params -- the parts of one question
function limits(
  resources: OciResources,
  v2: boolean,
  version: number,
  isNew: boolean,
): readonly UnitProperty[] {
  const devices = resources.devices ?? (isNew ? [] : undefined);
  return resourceProperties({
    resources: { ...resources, ...(devices === undefined ? {} : { devices }) },
    v2,
    version,
    procDevices: tryReadText("/proc/devices") ?? "",
  });
}
