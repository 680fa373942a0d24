/** The user namespace of a container, where the engine has one for all (`--userns-remap`). */
import { existsSync, lchownSync, lstatSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { GantryError } from "../../lib/index.ts";
import type { ContainerRecord, HostConfig } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { hostId, type IdMaps, rootOf } from "../users/id-maps.ts";
import { joinedContainer, joinedModes, namespacePath } from "./joined-container.ts";

export interface UserNamespace {
  readonly maps: IdMaps;
  /** That of another container, whose network, processes or IPC it joins: they belong to it. */
  readonly path?: string;
}

/**
 * At a start. Undefined: the host's.
 * @throws {GantryError} "conflict" when a container that is joined has none
 */
export function userNamespaceOf(context: EngineContext, record: ContainerRecord): UserNamespace | undefined {
  const maps = context.defaults.idMaps;
  if (maps === undefined || record.host.UsernsMode === "host") return undefined;
  for (const [kind, reference] of joinedModes(record)) {
    const other = joinedContainer(context, record.id, kind, reference);
    if (other.state.idMaps === null)
      throw new GantryError(
        "conflict",
        `cannot join the ${kind} namespace of container ${other.record.id}, which has no user namespace`,
        { hint: "run this container with --userns host, too" },
      );
    return { maps: other.state.idMaps, path: namespacePath(other, "user") };
  }
  return { maps };
}

/** @throws {GantryError} "invalid", in dockerd's words, for what needs the host's user namespace */
export function checkUserNamespace(maps: IdMaps | undefined, host: HostConfig): void {
  if (maps === undefined || host.UsernsMode === "host") return;
  const refuse = (message: string): GantryError =>
    new GantryError("invalid", message, { hint: "use --userns host" });
  if (host.Privileged)
    throw refuse(
      "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
    );
  if (host.NetworkMode === "host")
    throw refuse("cannot share the host's network namespace when user namespaces are enabled");
  if (host.PidMode === "host")
    throw refuse("cannot share the host PID namespace when user namespaces are enabled");
  if ((host.Runtime ?? "") !== "")
    throw new GantryError(
      "unsupported",
      `containers of --runtime ${host.Runtime} cannot have the engine's user namespace`,
      { hint: "use --userns host, or leave --runtime away" },
    );
}

/** At the engine's start: a container's root must be able to pass to where its root is mounted. */
export function checkPassable(path: string): void {
  for (let dir = path; ; dir = dirname(dir)) {
    if (existsSync(dir) && (lstatSync(dir).mode & 0o001) === 0 && !lstatSync(dir).isSymbolicLink())
      throw new GantryError(
        "invalid",
        `a directory above ${path} (${dir}) restricts access to the remapped root uid/gid; please fix by allowing 'o+x' permissions on existing directories`,
        { hint: `chmod o+x ${dir}, or choose another --state` },
      );
    if (dir === dirname(dir)) return;
  }
}

/** A directory that was made for the container, empty and the host root's, becomes its root's. */
export function giveToRoot(path: string, maps: IdMaps): void {
  const { uid, gid } = lstatSync(path);
  const root = rootOf(maps);
  if (uid === 0 && gid === 0 && readdirSync(path).length === 0) lchownSync(path, root.uid, root.gid);
}

/** Files with the image's ids get those that the container has on the host: as dockerd leaves them in volumes. */
export function shiftOwners(path: string, maps: IdMaps): void {
  const stat = lstatSync(path);
  lchownSync(path, hostId(maps.uids, stat.uid), hostId(maps.gids, stat.gid));
  if (!stat.isDirectory()) return;
  for (const name of readdirSync(path)) shiftOwners(join(path, name), maps);
}
