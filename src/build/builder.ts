/** Building an image: the context, the plan, then step after step. */
import { mkdirSync } from "node:fs";
import {
  familiarName,
  type ImageRecord,
  type ImageStore,
  parseReference,
  withDefaultTag,
} from "../image/index.ts";
import { type Digest, GantryError, messageOf } from "../lib/index.ts";
import { openContext } from "./context.ts";
import { parseDockerfile } from "./dockerfile/parse-dockerfile.ts";
import { BuildOutput } from "./output.ts";
import { BuildArgs, platformArgs } from "./plan/build-args.ts";
import { type BaseImage, isPlatform, outlineBuild, planBuild } from "./plan/plan-build.ts";
import type { BuildPlan } from "./plan/step.ts";
import { buildStages } from "./build-stages.ts";
import type { Session } from "./session.ts";
import { StepCache } from "./step-cache.ts";
import { canceled } from "./step-error.ts";
import type { BuilderOptions, BuildRequest, TakeMessage } from "./types.ts";
import { WorkArea } from "./work-area.ts";

const architecture = process.arch === "x64" ? "amd64" : process.arch;
const platform = `linux/${architecture}`;

const defaultMaxContext = 64 * 2 ** 30;
const defaultMaxDownload = 8 * 2 ** 30;

/** What a request may say that no build here can do. */
function checkRequest(request: BuildRequest): void {
  if (request.remote !== undefined && request.remote !== "") {
    throw new GantryError(
      "unsupported",
      `this builder fetches no remote context: ${request.remote.slice(0, 200)}`,
      {
        hint: "fetch it first, then build the folder",
      },
    );
  }
  const wanted = request.platform ?? "";
  if (wanted !== "" && !isPlatform(wanted, platform)) {
    throw new GantryError("unsupported", `platform ${wanted.slice(0, 60)} cannot be built here`, {
      hint: `this machine builds ${platform}`,
    });
  }
}

/** Ids of images are no names that a registry knows. */
const isId = (reference: string): boolean => /^(?:sha256:)?[0-9a-f]{64}$/.test(reference);

/** Names as they are shown, each once. @throws {GantryError} "invalid" in docker's words */
function parseTags(tags: readonly string[]): readonly string[] {
  const names = tags.map((tag) => {
    const reference = withDefaultTag(parseReference(tag));
    if (reference.digest !== undefined)
      throw new GantryError("invalid", "build tag cannot contain a digest", {
        fields: { reference: tag.slice(0, 300) },
      });
    return familiarName(reference);
  });
  return [...new Set(names)];
}

/** A prune may take an image away that has just been pulled. */
const maxFetches = 3;

/** Builds images as docker's classic builder does. Several builds may run at once. */
export class Builder {
  readonly #options: BuilderOptions;
  readonly #cache: StepCache;
  readonly #ready: Promise<void>;

  /** Removes what builds before a crash left; a build waits for that. */
  constructor(options: BuilderOptions) {
    this.#options = options;
    mkdirSync(options.root, { recursive: true, mode: 0o700 });
    this.#cache = new StepCache(`${options.root}/steps`, options.images);
    this.#ready = this.#reconcile();
  }

  async #reconcile(): Promise<void> {
    try {
      await WorkArea.removeLeftovers(this.#options.root);
      await this.#cache.prune(true);
    } catch (error) {
      this.#options.logger.warn("build.leftovers-kept", { error: messageOf(error) });
    }
  }

  /** Images have been removed: what is remembered of their steps goes, too. Runs beside builds. */
  async forgetRemoved(): Promise<void> {
    await this.#cache.prune(false);
  }

  /**
   * Builds one image and names it. Intermediate images stay without a name, as cache.
   * @throws {GantryError} "invalid" for a wrong Dockerfile (fields line and column) and for a command that fails (field
   * exitCode), "not-found" for a missing base or source, "exhausted" for a full disk, "canceled" when `signal` aborts;
   * nothing is left then but cache
   */
  async build(request: BuildRequest, onMessage: TakeMessage, signal: AbortSignal): Promise<ImageRecord> {
    const output = new BuildOutput(onMessage, request.quiet === true);
    try {
      checkRequest(request);
      const tags = parseTags(request.tags ?? []);
      await this.#ready;
      // Held until it has its names: a prune may run at any moment.
      using hold = this.#options.images.hold();
      const record = await this.#buildIn(request, { output, hold, signal });
      for (const tag of tags) this.#options.images.tag(record.id, tag);
      output.succeeded(record.id, tags);
      return record;
    } catch (error) {
      output.failed();
      throw signal.aborted ? canceled(signal) : error;
    }
  }

  async #buildIn(
    request: BuildRequest,
    { output, hold, signal }: Pick<Session, "output" | "hold" | "signal">,
  ): Promise<ImageRecord> {
    const { images, trees, runner, root, logger } = this.#options;
    const maxContextBytes = this.#options.maxContextBytes ?? defaultMaxContext;
    await using area = await WorkArea.open(root);
    const dir = await area.directory("context");
    const context = await openContext(request.context, request.dockerfile ?? "", {
      trees,
      dir,
      maxBytes: maxContextBytes,
      signal,
    });
    const pulled = new Set<string>();
    const findImage = async (reference: string): Promise<ImageRecord> => {
      const { fetchImage } = this.#options;
      for (let tries = 0; tries < maxFetches && fetchImage !== undefined && !isId(reference); tries++) {
        const isHere = images.tryFind(reference) !== undefined;
        if (isHere && (request.pull !== true || pulled.has(reference))) break;
        await fetchImage(reference, { onMessage: (message) => output.pass(message), signal, request });
        pulled.add(reference);
      }
      const record = images.find(reference);
      hold.keep(record.id);
      return record;
    };
    const session: Session = {
      images,
      findImage,
      trees,
      runner,
      root,
      logger,
      area,
      hold,
      output,
      request,
      context,
      maxContextBytes,
      signal,
      cache: this.#cache,
      cacheSources: cacheSources(images, request.cacheFrom ?? []),
      stages: [],
      maxDownloadBytes: this.#options.maxDownloadBytes ?? defaultMaxDownload,
      now: this.#options.now ?? Date.now,
    };
    return await buildStages(session, await this.#plan(session));
  }

  async #plan({ findImage, output, request, context }: Session): Promise<BuildPlan> {
    const dockerfile = parseDockerfile(context.dockerfile);
    for (const warning of dockerfile.warnings) output.line(warning);
    const args = new BuildArgs(request.buildArgs ?? {}, platformArgs(architecture));
    const outline = outlineBuild(dockerfile, {
      args,
      labels: request.labels ?? {},
      target: request.target ?? "",
      platform,
    });
    const bases = new Map<string, BaseImage>();
    for (const { base } of outline.stages) {
      if (base.kind !== "image" || bases.has(base.reference)) continue;
      const record = await findImage(base.reference);
      bases.set(base.reference, { config: record.config.config, author: record.config.author });
    }
    return planBuild(dockerfile, outline, bases, args);
  }
}

/** The images of these names with all that they were made from; undefined when none is named. */
function cacheSources(
  images: Pick<ImageStore, "tryFind">,
  names: readonly string[],
): ReadonlySet<Digest> | undefined {
  if (names.length === 0) return undefined;
  const ids = new Set<Digest>();
  for (const name of names) {
    let image = images.tryFind(name);
    while (image !== undefined && !ids.has(image.id)) {
      ids.add(image.id);
      image = image.parent === undefined ? undefined : images.tryFind(image.parent);
    }
  }
  return ids;
}
