/** runtime: an OCI config becomes a plan, a plan becomes a container. */
export { capabilityNames, defaultSeccompProfile } from "../kernel/index.ts";
export {
  defaultCapabilities,
  defaultDeviceRules,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadonlyPaths,
} from "./defaults.ts";
export type * from "./oci-types.ts";
export type {
  AttachStreams,
  ContainerStep,
  MonitorOptions,
  MonitorStep,
  NetlinkMessage,
  Plan,
} from "./plan-step.ts";
