/** `container:ID`: the namespaces of another container that one joins, by `--pid`, `--ipc` and `--network`. */
import { GantryError, messageOf } from "../../lib/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { isSameProcess } from "./same-process.ts";

export type JoinedNamespace = "pid" | "ipc" | "network";

const prefix = "container:";
const names: Readonly<Record<JoinedNamespace, string>> = { pid: "PID", ipc: "IPC", network: "network" };
const files: Readonly<Record<JoinedNamespace, string>> = { pid: "pid", ipc: "ipc", network: "net" };

/** What stands behind `container:` of a mode; undefined for all other modes. Pure. */
export function joinedReference(mode: string): string | undefined {
  return mode.startsWith(prefix) ? mode.slice(prefix.length) : undefined;
}

/** At creation a name becomes an id, so that the other one may be renamed. One that is not there (yet) stays as it was written. */
export function withJoinedId({ store }: Pick<EngineContext, "store">, mode: string): string {
  const reference = joinedReference(mode);
  if (reference === undefined) return mode;
  try {
    return prefix + store.find(reference).record.id;
  } catch (error) {
    // Not there, or more than one: the start will tell, as with dockerd.
    if (error instanceof GantryError) return mode;
    throw error;
  }
}

/**
 * The running container that is joined. It is looked up at each start: after its restart it has new namespaces.
 * @throws {GantryError} "invalid" when there is none; "conflict" when it does not run, in dockerd's words
 */
export function joinedContainer(
  { store }: Pick<EngineContext, "store">,
  ownId: string,
  kind: JoinedNamespace,
  reference: string,
): StoredContainer {
  const refuse = (code: "invalid" | "conflict", why: string, cause?: unknown): GantryError =>
    new GantryError(code, `failed to join ${names[kind]} namespace: ${why}`, { cause });
  let found: StoredContainer;
  try {
    found = store.find(reference);
  } catch (error) {
    throw refuse("invalid", messageOf(error), error);
  }
  const { record, state } = found;
  if (record.id === ownId) throw refuse("invalid", `cannot join own ${names[kind]} namespace`);
  if (state.status === "restarting")
    throw refuse("conflict", `Container ${reference} is restarting, wait until the container is running`);
  if (state.pid === 0 || (state.status !== "running" && state.status !== "paused")) {
    throw kind === "network"
      ? new GantryError(
          "conflict",
          `cannot join network namespace of a non running container: container ${record.name} is ${state.status}`,
        )
      : refuse("conflict", `container ${reference} is not running`);
  }
  return found;
}

/** Of each namespace that is joined, its file. */
export type JoinedPaths = Partial<Record<JoinedNamespace, string>>;

/** The containers that it joins, each with the namespace. Pure. */
export function joinedModes({
  host,
}: Pick<ContainerRecord, "host">): readonly (readonly [JoinedNamespace, string])[] {
  const modes = [
    ["pid", host.PidMode],
    ["ipc", host.IpcMode],
    ["network", host.NetworkMode],
  ] as const;
  return modes.flatMap(([kind, mode]) => {
    const reference = joinedReference(mode);
    return reference === undefined ? [] : [[kind, reference] as const];
  });
}

/** Ids of the containers that it joins, as far as they are there. */
export function joinedIds(
  { store }: Pick<EngineContext, "store">,
  record: Pick<ContainerRecord, "host">,
): readonly string[] {
  return joinedModes(record).flatMap(([, reference]) => (store.has(reference) ? [reference] : []));
}

/** At a start. @throws {GantryError} as joinedContainer */
export function joinedPaths(context: Pick<EngineContext, "store">, record: ContainerRecord): JoinedPaths {
  const paths: JoinedPaths = {};
  for (const [kind, reference] of joinedModes(record))
    paths[kind] = namespacePath(joinedContainer(context, record.id, kind, reference), kind);
  return paths;
}

/**
 * The file of a namespace of a running container, by its pid, which was not another process's a moment ago.
 * @throws {GantryError} "conflict" when it has just ended
 */
export function namespacePath({ record, state }: StoredContainer, file: JoinedNamespace | "user"): string {
  if (!isSameProcess(state)) throw new GantryError("conflict", `container ${record.id} is not running`);
  return `/proc/${state.pid}/ns/${file === "user" ? file : files[file]}`;
}
