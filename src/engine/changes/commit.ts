/** POST /commit: an image of a container's changes. */
import type { ContainerDefaults, HistoryEntry } from "../../image/index.ts";
import { type Digest, GantryError } from "../../lib/index.ts";
import type { ContainerConfig } from "../container.ts";
import { containerAttributes } from "../containers/container-events.ts";
import type { Lifecycle } from "../containers/lifecycle.ts";
import { pauseContainer, unpauseContainer } from "../containers/pause.ts";
import type { EngineContext } from "../context.ts";
import { containerPaths } from "../paths.ts";
import { mountStubs } from "./mount-stubs.ts";

export interface CommitRequest {
  /** What the image says of its containers, completed by the container's own. */
  readonly config: ContainerDefaults;
  /** A name for it; empty: none. */
  readonly reference: string;
  readonly author: string;
  readonly comment: string;
  /** Freeze the container while its files are read. */
  readonly pause: boolean;
  readonly signal: AbortSignal;
}

/** @throws {GantryError} "unsupported" in a user namespace; "exhausted" disk; "invalid" name */
export async function commitContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  request: CommitRequest,
): Promise<Digest> {
  const { images, store, events } = context;
  const { record, state } = store.get(id);
  if (state.idMaps !== null)
    throw new GantryError(
      "unsupported",
      `container ${record.name} has user ids of its own (userns-remap): its files cannot become an image's`,
    );
  using hold = images.hold();
  hold.keep(record.imageId);
  const image = images.find(record.imageId);
  const layer = await frozen(context, lifecycle, id, request.pause, () =>
    images.diffLayer({
      upper: containerPaths(context.paths, id).upper,
      keepUpper: true,
      parent: image.chainId,
      hold,
      stubs: [...mountStubs],
      signal: request.signal,
    }),
  );
  const created = new Date().toISOString();
  const author = request.author === "" ? {} : { author: request.author };
  const entry: HistoryEntry = {
    created,
    created_by: [...record.config.Cmd].join(" "),
    ...author,
    ...(request.comment === "" ? {} : { comment: request.comment }),
    ...(layer === undefined ? { empty_layer: true } : {}),
  };
  const { architecture, variant, history } = image.config;
  const chainId = layer?.chainId ?? image.chainId;
  const made = await images.createImage({
    config: request.config,
    ...(chainId === undefined ? {} : { chainId }),
    history: [...history, entry],
    created,
    ...author,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    parent: image.id,
  });
  if (request.reference !== "") images.tag(made.id, request.reference);
  const attributes = { comment: request.comment, imageID: made.id, imageRef: request.reference };
  events.emit("container", "commit", id, { ...containerAttributes(record), ...attributes });
  return made.id;
}

/** A container that does not run, or is paused already, stays as it is. */
async function frozen<T>(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  pause: boolean,
  work: () => Promise<T>,
): Promise<T> {
  if (!pause || context.store.get(id).state.status !== "running") return work();
  // Written down first: after a crash the next engine thaws it.
  context.store.update(id, { pausedByEngine: true });
  try {
    await pauseWhileAlive(context, lifecycle, id);
    return await work();
  } finally {
    if (context.store.has(id)) {
      if (context.store.get(id).state.status === "paused") await unpauseContainer(context, lifecycle, id);
      context.store.update(id, { pausedByEngine: false });
    }
  }
}

/** One that ends in this moment needs no pause. */
async function pauseWhileAlive(context: EngineContext, lifecycle: Lifecycle, id: string): Promise<void> {
  try {
    await pauseContainer(context, lifecycle, id);
  } catch (error) {
    // Its cgroup goes before its end is recorded, which is done in line.
    await lifecycle.locks.run(id, () => undefined);
    if (!(error instanceof GantryError) || !["conflict", "not-found"].includes(error.code)) throw error;
  }
}

/** What of a container's configuration an image keeps. Pure. */
export function imageDefaults(config: ContainerConfig): ContainerDefaults {
  const filled = <T extends object>(value: T): T | undefined =>
    Object.keys(value).length === 0 ? undefined : value;
  const { Healthcheck, Shell } = config;
  return defined({
    User: config.User || undefined,
    ExposedPorts: filled(config.ExposedPorts),
    Env: filled(config.Env),
    Entrypoint: filled(config.Entrypoint),
    Cmd: filled(config.Cmd),
    Volumes: filled(config.Volumes),
    WorkingDir: config.WorkingDir || undefined,
    Labels: filled(config.Labels),
    StopSignal: config.StopSignal || undefined,
    StopTimeout: config.StopTimeout,
    Shell: filled(Shell ?? []),
    Healthcheck: Healthcheck === undefined ? undefined : defined(Healthcheck),
  });
}

/** Changes of `docker commit --change` upon what the container has. Pure. */
export function withChanges(base: ContainerDefaults, changes: ContainerDefaults): ContainerDefaults {
  const nameOf = (entry: string): string => entry.split("=", 1)[0] ?? "";
  const names = new Set((changes.Env ?? []).map(nameOf));
  const env = [...(base.Env ?? []).filter((entry) => !names.has(nameOf(entry))), ...(changes.Env ?? [])];
  return defined({
    ...base,
    ...changes,
    Env: env.length === 0 ? undefined : env,
    ExposedPorts: merged(base.ExposedPorts, changes.ExposedPorts),
    Volumes: merged(base.Volumes, changes.Volumes),
    Labels: merged(base.Labels, changes.Labels),
  });
}

function merged<T>(
  a: Readonly<Record<string, T>> | undefined,
  b: Readonly<Record<string, T>> | undefined,
): Readonly<Record<string, T>> | undefined {
  return a === undefined && b === undefined ? undefined : { ...a, ...b };
}

/** Without the fields that are undefined, which JSON has not either. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
