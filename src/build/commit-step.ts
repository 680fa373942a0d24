/** The frame of every step: look into the cache, do it, make an image of it. */
import type { CreateImageRequest } from "../image/index.ts";
import { type Digest, newId, shortId } from "../lib/index.ts";
import type { PlannedStep } from "./plan/step.ts";
import type { Session } from "./session.ts";
import { chainIdOf, historyOf, imageId, lowersOf, type StageImage } from "./stage-image.ts";
import type { StepKey } from "./step-cache.ts";
import type { LayerDirs } from "./work-area.ts";

/** Targets of the engine's own mounts in a container; they are no change of the image when they are empty. */
const mountStubs =
  "dev/console dev/pts dev/shm dev/mqueue dev proc sys/fs/cgroup sys etc/hosts etc/hostname etc/resolv.conf .dockerenv".split(
    " ",
  );

export interface Deed {
  readonly step: PlannedStep;
  /** In words, as docker has it in the container's configuration. */
  readonly command: readonly string[];
  /** What else the result depends on. */
  readonly extra?: StepKey["extra"];
  /** Say "Running in" and "Removed intermediate container", as docker does where it uses a container. */
  readonly inContainer: boolean;
  /**
   * Fills an upper directory on top of the image; false when there was nothing to do. Missing when the step changes the
   * configuration only.
   */
  readonly fill?: (dirs: LayerDirs, containerId: string) => Promise<boolean>;
}

/** The cache of one stage: once a step was not found, the later ones cannot be there either. */
export interface StageCache {
  enabled: boolean;
}

/** Does a step unless the cache has it. @returns the image after it */
export async function commitStep(
  session: Session,
  parent: StageImage,
  cache: StageCache,
  deed: Deed,
): Promise<StageImage> {
  const { step, command, extra } = deed;
  const key: StepKey = {
    parent: imageId(parent),
    command,
    config: step.config,
    author: step.author,
    ...(extra === undefined ? {} : { extra }),
  };
  const known = cache.enabled ? await session.cache.find(key) : undefined;
  if (known !== undefined && session.cacheSources?.has(known.id) !== false) {
    session.hold.keep(known.id);
    session.output.line(" ---> Using cache");
    return { record: known };
  }
  cache.enabled = false;
  const id = newId();
  if (deed.inContainer) session.output.line(` ---> Running in ${shortId(id)}`);
  let done = false;
  try {
    const layer = deed.fill === undefined ? undefined : await makeLayer(session, parent, deed.fill, id);
    const image = await makeImage(session, parent, deed, layer);
    await session.cache.store(key, image.record.id);
    done = true;
    return image;
  } finally {
    if (deed.inContainer && (done ? session.request.remove !== false : session.request.forceRemove === true))
      session.output.line(` ---> Removed intermediate container ${shortId(id)}`);
  }
}

/** @returns the new top layer's chain id, undefined when nothing has changed */
async function makeLayer(
  session: Session,
  parent: StageImage,
  fill: NonNullable<Deed["fill"]>,
  id: string,
): Promise<Digest | undefined> {
  const dirs = await session.area.layer(lowersOf(parent)[0]);
  try {
    const isFilled = await fill(dirs, id);
    session.signal.throwIfAborted();
    if (!isFilled) return undefined;
    const layer = await session.images.diffLayer({
      upper: dirs.upper,
      parent: chainIdOf(parent),
      hold: session.hold,
      stubs: mountStubs,
      signal: session.signal,
    });
    return layer?.chainId;
  } finally {
    await session.area.release(dirs);
  }
}

async function makeImage(
  session: Session,
  parent: StageImage,
  { step, command }: Deed,
  layer: Digest | undefined,
): Promise<{ readonly record: NonNullable<StageImage["record"]> }> {
  const created = new Date(session.now()).toISOString();
  const base = parent.record?.config;
  const author = step.author === undefined ? {} : { author: step.author };
  const chainId = layer ?? chainIdOf(parent);
  const request: CreateImageRequest = {
    config: step.config,
    ...(chainId === undefined ? {} : { chainId }),
    history: [
      ...historyOf(parent),
      {
        created,
        created_by: command.join(" "),
        ...author,
        ...(layer === undefined ? { empty_layer: true } : {}),
      },
    ],
    created,
    ...author,
    ...(base === undefined ? {} : { architecture: base.architecture }),
    ...(base?.variant === undefined ? {} : { variant: base.variant }),
    ...(parent.record === undefined ? {} : { parent: parent.record.id }),
  };
  const record = await session.images.createImage(request);
  session.hold.keep(record.id);
  return { record };
}

/** The tree of an image with an upper directory to write to. */
export function writableRoot(
  parent: StageImage,
  dirs: LayerDirs,
): { lowers: readonly string[]; upper: string; work: string } | { dir: string } {
  const lowers = lowersOf(parent);
  // Nothing to lay over: what is written is the layer.
  return lowers.length === 0 ? { dir: dirs.upper } : { lowers, upper: dirs.upper, work: dirs.work };
}
