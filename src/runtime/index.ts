/** runtime: an OCI config becomes a plan, a plan becomes a container. */
export { nodeCgroupIo } from "./cgroup-io-node.ts";
export { capabilityNames, defaultSeccompProfile } from "../kernel/index.ts";
export type { AttachHandlers, AttachSession } from "./attach-session.ts";
export {
  cgroupPids,
  enterHierarchy,
  existingCgroupDirs,
  isFrozen,
  killCgroup,
  readCgroupStats,
  removeCgroup,
  setFrozen,
  updateResources,
} from "./cgroup-engine.ts";
export type { BlockIoStats, CgroupStats } from "./cgroup-stats.ts";
export type { MonitorConnection } from "./control.ts";
export {
  defaultCapabilities,
  defaultDeviceRules,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadonlyPaths,
} from "./defaults.ts";
export { type ExplainedStep, explainPlan } from "./explain-plan.ts";
export type { Exited, Started } from "./frames.ts";
export type * from "./oci-types.ts";
export { planContainer } from "./plan-container.ts";
export { planExec } from "./plan-exec.ts";
export {
  foreignOomPath,
  type ForeignRuntime,
  planForeignContainer,
  planForeignExec,
} from "./plan-foreign.ts";
export type {
  ContainerPlan,
  ContainerPlanInput,
  ExecPlanInput,
  ExtraSteps,
  OverlayRoot,
} from "./plan-input.ts";
export type {
  AttachStreams,
  ContainerStep,
  MonitorOptions,
  MonitorStep,
  NetlinkMessage,
  Plan,
} from "./plan-step.ts";
export { type Launched, type LaunchRequest, Runtime } from "./runtime.ts";
export { readStatusFile, type StatusFile } from "./status-file.ts";
export { validateConfig } from "./validate-config.ts";
