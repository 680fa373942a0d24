/** What the specification has and gantry does not do. Pure. */
import { GantryError } from "../lib/index.ts";
import type { OciConfig, OciProcess } from "./oci-types.ts";

/** @throws {GantryError} "unsupported" naming every such field at once */
export function refuseUnsupported(config: OciConfig, offersHooks = false): void {
  const { linux, hooks, process } = config;
  const found = [
    ...processFields(process),
    ...(["prestart", "createRuntime", "createContainer", "startContainer"] as const)
      .filter((kind) => !offersHooks && (hooks?.[kind]?.length ?? 0) > 0)
      .map((kind) => `hooks.${kind}`),
    ...(isSet(linux?.intelRdt) ? ["linux.intelRdt"] : []),
    ...(isSet(linux?.memoryPolicy) ? ["linux.memoryPolicy"] : []),
    ...(isSet(linux?.timeOffsets) ? ["linux.timeOffsets"] : []),
    ...(isSet(linux?.netDevices) ? ["linux.netDevices"] : []),
    ...(linux?.personality !== undefined && linux.personality.domain !== "LINUX"
      ? ["linux.personality"]
      : []),
    ...((linux?.mountLabel ?? "") === "" ? [] : ["linux.mountLabel"]),
    ...((linux?.uidMappings?.length ?? 0) + (linux?.gidMappings?.length ?? 0) > 0
      ? ["linux.uidMappings"]
      : []),
  ];
  if (found.length > 0)
    throw new GantryError("unsupported", `gantry does not offer: ${found.join(", ")}`, {
      hint: "remove these fields from the config",
      fields: { path: found[0] ?? "" },
    });
}

/** The unsupported fields of a process, as config paths. */
export function processFields(process: OciProcess | undefined): readonly string[] {
  const profile = process?.apparmorProfile ?? "";
  return [
    ...(profile === "" || profile === "unconfined" ? [] : ["process.apparmorProfile"]),
    ...((process?.selinuxLabel ?? "") === "" ? [] : ["process.selinuxLabel"]),
    ...(isSet(process?.scheduler) ? ["process.scheduler"] : []),
    ...(process?.ioPriority === undefined ? [] : ["process.ioPriority"]),
    ...(isSet(process?.execCPUAffinity) ? ["process.execCPUAffinity"] : []),
  ];
}

function isSet(value: object | undefined): boolean {
  return value !== undefined && Object.keys(value).length > 0;
}
