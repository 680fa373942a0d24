/** What AppArmor and SELinux are told about a container. Pure: whether the kernel has them is seen when it is done. */
import type { OciProcess } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep } from "./plan-step.ts";

/** Steps for while the host's /proc is in sight; they concern the program to come. */
export function labelSteps(process: OciProcess, because: Because): readonly ContainerStep[] {
  const profile = process.apparmorProfile ?? "";
  const label = process.selinuxLabel ?? "";
  const steps: ContainerStep[] = [];
  if (profile !== "")
    steps.push({
      do: "security-label",
      module: "apparmor",
      label: profile,
      because: because("process.apparmorProfile of the config", "process.apparmorProfile"),
    });
  if (label !== "")
    steps.push({
      do: "security-label",
      module: "selinux",
      label,
      because: because("process.selinuxLabel of the config", "process.selinuxLabel"),
    });
  return steps;
}

/** File systems of the kernel, which have labels of their own. */
const labelled = new Set(["proc", "sysfs", "mqueue", "cgroup", "cgroup2"]);

/** With a mount label every file system that is mounted anew gets it, as runc does. */
export function withMountLabel(
  steps: readonly ContainerStep[],
  label: string | undefined,
): readonly ContainerStep[] {
  if (label === undefined || label === "") return steps;
  return steps.map((step) =>
    step.do !== "mount" || labelled.has(step.fstype) || step.data.includes("context=")
      ? step
      : {
          ...step,
          data: [step.data, `context=${JSON.stringify(label)}`].filter((part) => part !== "").join(","),
        },
  );
}
