/** Every step asked of the kernel for a container, as it was started or would be. */
import type { ExplainedStep, ExtraSteps } from "../../runtime/index.ts";
import { explainPlan } from "../../runtime/index.ts";
import { planLoopback } from "../../network/index.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { networkKind } from "../network-mode.ts";
import { attachRequest } from "./attach-network.ts";
import { containerPlan } from "./container-plan.ts";
import { imageOf } from "./image-of.ts";
import { joinedPaths } from "./joined-container.ts";
import { mountsOf } from "./mount-spec.ts";
import { resolveMount } from "./prepare-mounts.ts";
import { sharedMemoryOf } from "./shared-memory.ts";
import { userNamespaceOf } from "./user-namespace.ts";

/** Rebuilds the plan from the record: nothing is made or reserved. */
export async function explainContainer(
  context: EngineContext,
  { record }: StoredContainer,
): Promise<readonly ExplainedStep[]> {
  const image = imageOf(context, record);
  const mounts = mountsOf(record).map((mount) => resolveMount(context, mount));
  const { plan } = containerPlan(context, {
    record,
    image,
    mounts,
    network: explainedNetwork(context, record),
    joins: joinedPaths(context, record),
    sharedMemory: sharedMemoryOf(context, record),
    userNamespace: userNamespaceOf(context, record),
  });
  return explainPlan(plan);
}

/** Of the present endpoint; of a stopped container with the address it may get. */
function explainedNetwork(
  { networks, defaults }: EngineContext,
  record: StoredContainer["record"],
): ExtraSteps | undefined {
  const kind = networkKind(record.host.NetworkMode);
  if (kind.kind === "host") return undefined;
  return kind.kind === "none"
    ? planLoopback()
    : networks.preview(attachRequest(record, kind.network, defaults));
}
