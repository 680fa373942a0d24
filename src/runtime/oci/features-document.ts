/**
 * What this program can do, made from the tables that the planner itself uses: what it refuses cannot stand here. It tells
 * of the program, not of the machine, but for `supportedFlags`. Pure.
 */
import { capabilityNames, seccompFeatures } from "../../kernel/index.ts";
import { memoryPolicyFlags, memoryPolicyModes } from "../memory-policy-names.ts";
import { knownMountOptions } from "../mount-options.ts";
import type { OciConfig, OciHooks, OciLinux, OciProcess } from "../oci-types.ts";
import { namespaceFlags } from "../plan-namespaces.ts";
import { refuseUnsupported } from "../unsupported.ts";
import { specVersion } from "./context.ts";
import { version } from "./help.ts";
import type { Json } from "./json-text.ts";

const hookKinds = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const satisfies readonly (keyof OciHooks)[];

/** The first kernel with each flag of seccomp(2). */
const flagsSince: Readonly<Record<string, readonly [major: number, minor: number]>> = {
  SECCOMP_FILTER_FLAG_TSYNC: [3, 17],
  SECCOMP_FILTER_FLAG_LOG: [4, 14],
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: [4, 17],
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: [5, 19],
};

/** @param release the kernel's, such as `6.1.0-13-amd64` */
export function featuresDocument(release: string): { readonly [key: string]: Json } {
  const options = [...knownMountOptions].sort();
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: specVersion,
    hooks: hookKinds.filter((kind) => offers({ hooks: { [kind]: [{ path: "/x" }] } })),
    mountOptions: options,
    linux: {
      namespaces: Object.keys(namespaceFlags).sort(),
      capabilities: capabilityNames,
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: seccomp(release),
      apparmor: { enabled: offersProcess({ apparmorProfile: "x" }) },
      selinux: { enabled: offersProcess({ selinuxLabel: "x" }) },
      intelRdt: {
        enabled: offersLinux({ intelRdt: { closID: "x" } }),
        schemata: offersLinux({ intelRdt: { schemata: ["L3:0=f"] } }),
        monitoring: offersLinux({ intelRdt: { enableMonitoring: true } }),
      },
      memoryPolicy: { modes: memoryPolicyModes, flags: memoryPolicyFlags },
      mountExtensions: { idmap: { enabled: options.includes("idmap") } },
      netDevices: { enabled: offersLinux({ netDevices: { x: {} } }) },
    },
    annotations: {
      "org.gantry.gantry-oci.version": version,
      "org.gantry.gantry-oci.checkpoint.enabled": "true",
    },
    // They change what is done on the host: systemd's properties, and a file of further settings for CRIU.
    potentiallyUnsafeConfigAnnotations: ["org.systemd.property.", "org.criu.config"],
  };
}

function seccomp(release: string): Json {
  const { actions, operators, archs, flags } = seccompFeatures;
  return {
    enabled: true,
    actions,
    operators,
    archs,
    knownFlags: flags,
    supportedFlags: flags.filter((flag) => isSince(release, flagsSince[flag] ?? [0, 0])),
  };
}

function isSince(release: string, [major, minor]: readonly [major: number, minor: number]): boolean {
  const [, ownMajor = "0", ownMinor = "0"] = /^([0-9]+)\.([0-9]+)/.exec(release) ?? [];
  return Number(ownMajor) > major || (Number(ownMajor) === major && Number(ownMinor) >= minor);
}

/** True when the planner does not refuse it. */
function offers(part: Partial<OciConfig>): boolean {
  try {
    refuseUnsupported({ ociVersion: specVersion, ...part }, true);
    return true;
  } catch {
    // Its error is the answer.
    return false;
  }
}

function offersLinux(linux: OciLinux): boolean {
  return offers({ linux });
}

function offersProcess(part: Partial<OciProcess>): boolean {
  return offers({ process: { args: ["x"], cwd: "/", ...part } });
}
