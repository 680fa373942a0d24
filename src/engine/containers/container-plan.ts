/** The plan of one container: what `launch` executes and `explain` prints. Reads files of the image, changes nothing. */
import {
  type ContainerPlan,
  type ExtraSteps,
  nodeCgroupIo,
  type OciConfig,
  planContainer,
} from "../../runtime/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { blockIo } from "../block-devices.ts";
import { usesInit } from "../engine-defaults.ts";
import { flagReasons } from "../flag-reasons.ts";
import { hostDevices } from "../host-devices.ts";
import { ociConfig } from "../oci-config.ts";
import type { ResolvedMount } from "../oci-mounts.ts";
import { cgroupPath, containerPaths } from "../paths.ts";
import { foreignPlan, withInit } from "./foreign.ts";
import { initFile } from "./init-file.ts";
import type { ContainerImage } from "./image-of.ts";
import type { JoinedPaths } from "./joined-container.ts";
import type { UserNamespace } from "./user-namespace.ts";
import { networkFileMounts } from "./network-files.ts";

export interface PlanRequest {
  readonly record: ContainerRecord;
  readonly image: ContainerImage;
  readonly mounts: readonly ResolvedMount[];
  readonly network: ExtraSteps | undefined;
  /** Of other containers that it joins; without them its own ones stand there. */
  readonly joins?: JoinedPaths;
  readonly sharedMemory?: string | undefined;
  readonly userNamespace?: UserNamespace | undefined;
}

/** @throws {GantryError} "invalid" (user, capability, …), "not-found" (device) */
export function containerPlan(context: EngineContext, request: PlanRequest): ContainerPlan {
  const { record, image, network } = request;
  const paths = containerPaths(context.paths, record.id);
  const config = configOf(context, request);
  const overlay = {
    target: context.paths.mountPoint,
    lowers: image.lowers,
    upper: paths.upper,
    work: paths.work,
    options: "",
    ...(request.userNamespace === undefined
      ? {}
      : { mapped: { writable: paths.dir, at: context.paths.mappedPoint } }),
  };
  const program = context.runtimes.programOf(record.host.Runtime ?? "");
  if (program !== undefined) return foreignPlan(context, { record, program, config, overlay, network });
  const useInit = usesInit(context.defaults, record);
  // The monitor's own program is not for others to run: in a user namespace the init is a file, as for another runtime.
  const asFile = useInit && request.userNamespace !== undefined;
  return planContainer({
    config: asFile ? withInit(config, initFile(context)) : config,
    overlay,
    cgroups: context.cgroups,
    readText: nodeCgroupIo.read,
    reasons: flagReasons(record),
    useInit: useInit && !asFile,
    ...(network === undefined ? {} : { network }),
  });
}

/** The OCI config of a container; also what an exec in it starts from. */
export function configOf(
  context: EngineContext,
  { record, image, mounts, joins, sharedMemory, userNamespace }: Omit<PlanRequest, "network">,
): OciConfig {
  const paths = containerPaths(context.paths, record.id);
  const user = context.users.resolve({
    imageId: image.id,
    lowers: image.lowers,
    upper: paths.upper,
    spec: record.config.User,
    groupAdd: record.host.GroupAdd,
  });
  const taken = mounts.map(({ target }) => target);
  return ociConfig({
    record,
    user,
    rootPath: context.paths.mountPoint,
    cgroupsPath: cgroupPath(context.paths, record),
    mounts: [
      ...mounts,
      ...networkFileMounts(record, paths, taken).map((mount) =>
        userNamespace === undefined ? mount : { ...mount, idMapped: true },
      ),
    ],
    devices: hostDevices(record.host),
    defaultSysctls: context.host.defaultSysctls,
    swapAccounting: context.host.swapAccounting,
    ...(joins === undefined ? {} : { joins }),
    userNamespace,
    sharedMemory,
    blockIo: blockIo(record.host),
    appArmor: context.host.appArmor,
    seccomp: context.defaults.seccomp,
    inheritedOomScore: context.host.oomScoreAdj,
  });
}
