/** The seccomp filter of a process, and where its questions go (runtime-spec config-linux.md, "Seccomp"). Pure. */
import { GantryError } from "../lib/index.ts";
import { compileSeccomp } from "../kernel/index.ts";
import type { SeccompProfile } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep } from "./plan-step.ts";

/** The state that a listener is told beside the process's own pid. */
export interface ListenerState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: "creating" | "running";
  /** Of the container's first process; missing: that is the process itself. */
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function seccompSteps(
  seccomp: SeccompProfile | undefined,
  state: ListenerState | undefined,
  because: Because,
): readonly ContainerStep[] {
  if (seccomp === undefined) return [];
  const { program, flags, notifies } = compileSeccomp(seccomp);
  const words = because("the default seccomp profile", "linux.seccomp");
  const path = seccomp.listenerPath ?? "";
  const metadata = seccomp.listenerMetadata ?? "";
  if (path === "" && metadata !== "")
    throw new GantryError("invalid", "linux.seccomp.listenerMetadata: it needs a listenerPath");
  if (!notifies) return [{ do: "seccomp", program, flags, because: words }];
  if (path === "")
    throw new GantryError("invalid", "linux.seccomp: seccomp listenerPath is not set", {
      hint: "SCMP_ACT_NOTIFY asks a listener: name its socket in linux.seccomp.listenerPath",
    });
  if (!path.startsWith("/"))
    throw new GantryError("invalid", "linux.seccomp.listenerPath: must be an absolute path");
  const { ociVersion, id, status, pid, bundle, annotations }: ListenerState = state ?? {
    ociVersion: "1.3.0",
    id: "",
    status: "creating",
    bundle: "",
  };
  const rest = { bundle, ...(annotations === undefined ? {} : { annotations }) };
  const shared = { ociVersion, fds: ["seccompFd"], ...(metadata === "" ? {} : { metadata }) };
  const parts = [
    `${JSON.stringify(shared).slice(0, -1)},"pid":`,
    `,"state":${JSON.stringify({ ociVersion, id, status }).slice(0, -1)},"pid":`,
    `,${JSON.stringify(rest).slice(1)}}`,
  ];
  const [head = "", middle = "", tail = ""] = parts;
  return [
    {
      do: "seccomp-listener",
      program,
      flags,
      path,
      state: pid === undefined ? [head, middle, tail] : [head, `${middle}${pid}${tail}`],
      because: words,
    },
  ];
}
