/** A user namespace, made or joined: who is root in it, who writes its maps, who owns what. Pure. */
import { GantryError } from "../lib/index.ts";
import { isOwnIdOnly, mapText, outsideId, rootId } from "./id-maps.ts";
import type { OciConfig, OciIdMapping, OciUser } from "./oci-types.ts";
import type { Because, Rootless } from "./plan-input.ts";
import type { ContainerStep, MonitorStep } from "./plan-step.ts";

export interface UserNamespaceSteps {
  /** The child is born in it; or makes it after it has joined others; or it exists. */
  readonly kind: "born" | "unshared" | "joined";
  readonly monitor: readonly MonitorStep[];
  readonly enter: ContainerStep;
  readonly because: string;
}

/**
 * Undefined without one. Namespaces that are joined by path may belong to the host: they are joined while the child has
 * its rights there, so a new user namespace is made after that.
 * @throws {GantryError} "invalid" naming the id that is not mapped; "unsupported" for maps that need missing programs
 */
export function planUserNamespace(
  config: OciConfig,
  because: Because,
  hasPath: boolean,
  rootless?: Rootless,
): UserNamespaceSteps | undefined {
  const user = config.linux?.namespaces?.find(({ type }) => type === "user");
  if (user === undefined) {
    if (rootless === undefined) return undefined;
    throw new GantryError("invalid", "linux.namespaces: rootless container requires user namespaces", {
      hint: 'add {"type": "user"} and mappings of your own ids, as: gantry-oci spec --rootless; or run it as root',
      fields: { path: "linux.namespaces" },
    });
  }
  const isJoined = (user.path ?? "") !== "";
  const uids = config.linux?.uidMappings ?? [];
  const gids = config.linux?.gidMappings ?? [];
  if (!isJoined) requireMaps(uids, gids);
  const kind = isJoined ? "joined" : hasPath ? "unshared" : "born";
  const tools = isJoined ? {} : mapTools(uids, gids, rootless);
  const deniesGroups = !isJoined && rootless !== undefined && tools.newgidmap === undefined;
  requireMapped(config, uids, gids, deniesGroups);
  const words = because("the config's user namespace", "linux.namespaces.user", "linux.uidMappings");
  const { uid = 0, gid = 0 } = config.process?.user ?? {};
  const owner = { uid: outsideId(uids, uid), gid: outsideId(gids, gid) };
  const idMaps: MonitorStep = {
    do: "id-maps",
    uids: isJoined ? "" : mapText(uids),
    gids: isJoined ? "" : mapText(gids),
    isUnshared: kind === "unshared",
    deniesGroups,
    ...tools,
    ...(owner.uid === undefined || owner.gid === undefined
      ? {}
      : { owner: { uid: owner.uid, gid: owner.gid } }),
    because: words,
  };
  const enter: ContainerStep = {
    do: "user-namespace",
    uid: rootId(uids, uid),
    gid: rootId(gids, gid),
    kind,
    because: words,
  };
  return { kind, monitor: [idMaps], enter, because: words };
}

/** Of a process that joins a container: the ids with which it acts until it becomes its user. */
export function enterJoinedUser(config: OciConfig, because: string): ContainerStep {
  const { uid = 0, gid = 0 } = config.process?.user ?? {};
  return {
    do: "user-namespace",
    uid: rootId(config.linux?.uidMappings ?? [], uid),
    gid: rootId(config.linux?.gidMappings ?? [], gid),
    kind: "joined",
    because,
  };
}

function requireMaps(uids: readonly OciIdMapping[], gids: readonly OciIdMapping[]): void {
  for (const [path, maps] of [
    ["linux.uidMappings", uids],
    ["linux.gidMappings", gids],
  ] as const)
    if (maps.length === 0)
      throw new GantryError("invalid", `${path}: is required for a new user namespace`, {
        hint: 'map ids, such as {"containerID": 0, "hostID": 100000, "size": 65536}',
        fields: { path },
      });
}

interface Tools {
  readonly newuidmap?: string;
  readonly newgidmap?: string;
}

/** Who is not root writes the map of its own id; for more there are two programs that look into /etc/subuid, /etc/subgid. */
function mapTools(
  uids: readonly OciIdMapping[],
  gids: readonly OciIdMapping[],
  rootless: Rootless | undefined,
): Tools {
  if (rootless === undefined) return {};
  const { newuidmap, newgidmap } = rootless;
  const needsUid = !isOwnIdOnly(uids, rootless.uid);
  const needsGid = !isOwnIdOnly(gids, rootless.gid);
  if (needsUid && newuidmap === undefined) throw missingTool("linux.uidMappings", "newuidmap", rootless.uid);
  if (needsGid && newgidmap === undefined) throw missingTool("linux.gidMappings", "newgidmap", rootless.gid);
  return {
    ...(needsUid && newuidmap !== undefined ? { newuidmap } : {}),
    ...(needsGid && newgidmap !== undefined ? { newgidmap } : {}),
  };
}

function missingTool(path: string, tool: string, id: number): GantryError {
  return new GantryError(
    "unsupported",
    `${path}: without root only one id, your own (${id}), can be mapped; for others there must be ${tool}, and none is in $PATH`,
    {
      hint: "install it (Debian: apt install uidmap) with a range for you in /etc/subuid and /etc/subgid",
      fields: { path },
    },
  );
}

/**
 * Of a container's process, or of one that joins it.
 * @throws {GantryError} "invalid" naming the id that its user namespace does not have
 */
export function requireMappedUser(user: OciUser | undefined, config: OciConfig): void {
  const check = (field: string, id: number, list: "uidMappings" | "gidMappings"): void => {
    const maps = config.linux?.[list] ?? [];
    if (maps.length > 0 && outsideId(maps, id) === undefined)
      throw notMapped(`process.user.${field}`, `${id}`, `linux.${list}`);
  };
  check("uid", user?.uid ?? 0, "uidMappings");
  check("gid", user?.gid ?? 0, "gidMappings");
  for (const group of user?.additionalGids ?? []) check("additionalGids", group, "gidMappings");
}

/** The kernel would only say EINVAL, at a step that names none of this. */
function requireMapped(
  config: OciConfig,
  uids: readonly OciIdMapping[],
  gids: readonly OciIdMapping[],
  deniesGroups: boolean,
): void {
  requireMappedUser(config.process?.user, config);
  const { additionalGids = [] } = config.process?.user ?? {};
  if (deniesGroups && additionalGids.length > 0)
    throw new GantryError(
      "invalid",
      "process.user.additionalGids: cannot set any additional groups in a rootless container whose only group is mapped without newgidmap",
      {
        hint: "leave additionalGids out, or map more groups",
        fields: { path: "process.user.additionalGids" },
      },
    );
  for (const mount of config.mounts ?? []) {
    if (mount.options?.some((option) => option === "bind" || option === "rbind")) continue;
    for (const option of mount.options ?? []) {
      const [, kind, digits = ""] = /^([ug])id=([0-9]+)$/.exec(option) ?? [];
      if (kind === undefined) continue;
      const [maps, list] = kind === "u" ? [uids, "linux.uidMappings"] : [gids, "linux.gidMappings"];
      if (maps.length > 0 && outsideId(maps, Number(digits)) === undefined)
        throw notMapped(`the mount on ${mount.destination}`, option, list);
    }
  }
}

function notMapped(path: string, what: string, list: string): GantryError {
  return new GantryError("invalid", `${path}: ${what} is not mapped by ${list}`, {
    hint: `use an id that ${list} has inside, or map this one`,
    fields: { path },
  });
}
