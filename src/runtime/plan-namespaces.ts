/** Namespaces (runtime-spec config-linux.md, "Namespaces") as clone flags and join steps. Pure. */
import { GantryError } from "../lib/index.ts";
import { cloneFlags } from "../kernel/index.ts";
import type { OciConfig, OciNamespaceType } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep } from "./plan-step.ts";

export const namespaceFlags: Readonly<Record<OciNamespaceType, bigint>> = {
  mount: cloneFlags.CLONE_NEWNS,
  pid: cloneFlags.CLONE_NEWPID,
  network: cloneFlags.CLONE_NEWNET,
  ipc: cloneFlags.CLONE_NEWIPC,
  uts: cloneFlags.CLONE_NEWUTS,
  user: cloneFlags.CLONE_NEWUSER,
  cgroup: cloneFlags.CLONE_NEWCGROUP,
  time: cloneFlags.CLONE_NEWTIME,
};

/** The user namespace gives the rights for the others; after the mount namespace the other paths are out of sight. */
const joinOrder: readonly OciNamespaceType[] = [
  "user",
  "ipc",
  "uts",
  "network",
  "cgroup",
  "time",
  "pid",
  "mount",
];

export interface NamespaceSteps {
  /** For clone3: all new ones but the cgroup namespace, which is made once the child is in its cgroup. */
  readonly cloneFlags: bigint;
  /** First steps of the child. */
  readonly join: readonly ContainerStep[];
  readonly newCgroup: boolean;
}

/** @throws {GantryError} "unsupported" for a new user or time namespace, or for none for mounts */
export function planNamespaces(config: OciConfig, because: Because): NamespaceSteps {
  const wanted = config.linux?.namespaces ?? [];
  const pathOf = (type: OciNamespaceType): string | undefined => wanted.find((ns) => ns.type === type)?.path;
  const fresh = wanted.filter(({ path }) => path === undefined || path === "").map(({ type }) => type);
  for (const type of ["user", "time"] as const) if (fresh.includes(type)) throw refused(type);
  if (!fresh.includes("mount"))
    throw new GantryError("unsupported", "linux.namespaces: a container needs a new mount namespace", {
      hint: 'add {"type": "mount"} to linux.namespaces',
    });
  let flags = 0n;
  for (const type of fresh) if (type !== "cgroup") flags |= namespaceFlags[type];
  const join: ContainerStep[] = [];
  for (const type of joinOrder) {
    const path = pathOf(type);
    if (path === undefined || path === "") continue;
    const words = because(`the config's ${type} namespace`, `linux.namespaces.${type}`, "linux.namespaces");
    join.push({ do: "join-namespace", path, flag: namespaceFlags[type], because: words });
  }
  return { cloneFlags: flags, join, newCgroup: fresh.includes("cgroup") };
}

/** The namespaces that a process of the container's is in: those made or joined for it. */
export function memberFlags(config: OciConfig): bigint {
  let flags = 0n;
  for (const { type } of config.linux?.namespaces ?? []) flags |= namespaceFlags[type];
  return flags;
}

function refused(type: "user" | "time"): GantryError {
  return new GantryError("unsupported", `linux.namespaces: gantry does not make a new ${type} namespace`, {
    hint: `leave ${type} out of linux.namespaces, or join an existing one by its path`,
  });
}
