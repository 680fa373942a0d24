/** Kernel settings of a container: only such as its own namespaces have. Pure. */
import { GantryError } from "../lib/index.ts";
import type { OciConfig, OciNamespaceType } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep } from "./plan-step.ts";

const ipcSettings = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.msg_next_id",
  "kernel.sem",
  "kernel.sem_next_id",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_next_id",
  "kernel.shm_rmid_forced",
]);

/** The namespace that a setting belongs to; none: it is the whole machine's. */
function namespaceOf(key: string): OciNamespaceType | undefined {
  if (key.startsWith("net.")) return "network";
  if (key.startsWith("fs.mqueue.") || ipcSettings.has(key)) return "ipc";
  if (key.startsWith("user.")) return "user";
  return key === "kernel.domainname" || key === "kernel.hostname" ? "uts" : undefined;
}

/** Spelled with dots: whichever of `.` and `/` comes first separates, as in sysctl(8). */
function dotted(key: string): string {
  const first = /[./]/.exec(key)?.[0];
  return first === "/" ? key.replace(/[./]/g, (one) => (one === "/" ? "." : "/")) : key;
}

/** @throws {GantryError} "invalid" for a setting of the whole machine, or of a namespace that the container has not */
export function sysctlSteps(config: OciConfig, because: Because): readonly ContainerStep[] {
  return Object.entries(config.linux?.sysctl ?? {}).map(([key, value]) => {
    refuseShared(config, dotted(key));
    return {
      do: "sysctl",
      key,
      value,
      because: because("the config's sysctls", `linux.sysctl.${key}`, "linux.sysctl"),
    };
  });
}

function refuseShared(config: OciConfig, key: string): void {
  const path = `linux.sysctl.${key}`;
  // In this spelling `//` is the name `..`, by which a setting of a namespace would lead to one of the machine.
  if (key.split(".").some((name) => ["", "/", "//"].includes(name)))
    throw new GantryError("invalid", `${path}: is not a kernel setting's name`);
  if (key === "kernel.hostname")
    throw new GantryError(
      "invalid",
      `${path}: sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field`,
      { hint: 'set "hostname" in the config' },
    );
  const type = namespaceOf(key);
  if (type === undefined)
    throw new GantryError("invalid", `${path}: sysctl "${key}" is not in a separate kernel namespace`, {
      hint: "set it on the host: it is one for the whole machine",
    });
  const own = config.linux?.namespaces?.find((namespace) => namespace.type === type);
  const ofHost = own?.path !== undefined && /^\/proc\/(1|self|thread-self)\/ns\//.test(own.path);
  if (own !== undefined && !ofHost) return;
  if (type === "network")
    throw new GantryError("invalid", `${path}: sysctl "${key}" not allowed in host network namespace`, {
      hint: 'add {"type": "network"} to linux.namespaces',
    });
  throw new GantryError("invalid", `${path}: sysctl "${key}" is not allowed in the hosts ${type} namespace`, {
    hint: `add {"type": "${type}"} to linux.namespaces`,
  });
}
