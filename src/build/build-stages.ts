/** The executor: walks a plan, stage by stage, and says what docker says. */
import type { ImageRecord } from "../image/index.ts";
import { GantryError } from "../lib/index.ts";
import type { StageCache } from "./commit-step.ts";
import { doStep } from "./do-step.ts";
import { shortDigest } from "./output.ts";
import type { BuildPlan, PlannedStage, StageBase } from "./plan/step.ts";
import type { Session } from "./session.ts";
import { imageId, scratch, type StageImage } from "./stage-image.ts";
import { stepError } from "./step-error.ts";

/** Counts the step lines and knows which one is running. */
class StepLines {
  readonly #session: Session;
  readonly #total: number;
  #number = 0;

  constructor(session: Session, total: number) {
    this.#session = session;
    this.#total = total;
  }

  print(text: string): void {
    this.#number++;
    this.#session.output.line(`Step ${this.#number}/${this.#total} : ${text}`);
  }

  /** Does `work` as the step that was printed last. @throws {GantryError} with the step's number and line */
  async run<T>(text: string, line: number, work: () => Promise<T>): Promise<T> {
    try {
      this.#session.signal.throwIfAborted();
      return await work();
    } catch (error) {
      throw stepError(error, { number: this.#number, total: this.#total, text, line }, this.#session.signal);
    }
  }
}

function startOf(session: Session, base: StageBase): StageImage {
  switch (base.kind) {
    case "scratch":
      return scratch;
    case "stage":
      return session.stages[base.index] ?? scratch;
    case "image":
      return { record: session.images.find(base.reference) };
  }
}

async function runTriggers(
  session: Session,
  stage: PlannedStage,
  start: StageImage,
  cache: StageCache,
): Promise<StageImage> {
  const count = stage.triggers.length;
  if (count === 0) return start;
  session.output.line(`# Executing ${count} build trigger${count > 1 ? "s" : ""}`);
  let image = start;
  for (const trigger of stage.triggers) image = await doStep(session, image, cache, trigger);
  return image;
}

async function buildStage(session: Session, stage: PlannedStage, lines: StepLines): Promise<StageImage> {
  const cache: StageCache = { enabled: session.request.noCache !== true };
  const say = (image: StageImage): void => session.output.line(` ---> ${shortDigest(imageId(image))}`);
  lines.print(stage.title);
  let image = await lines.run(stage.title, stage.line, async () => {
    const start = startOf(session, stage.base);
    return runTriggers(session, stage, start, cache);
  });
  say(image);
  for (const step of stage.steps) {
    const text = step.title ?? "";
    lines.print(text);
    const parent = image;
    image = await lines.run(text, step.line, () => doStep(session, parent, cache, step));
    say(image);
  }
  return image;
}

/**
 * Does everything that the plan says.
 * @returns the last stage's image
 * @throws {GantryError} of the step that failed, with the fields step and line
 */
export async function buildStages(session: Session, plan: BuildPlan): Promise<ImageRecord> {
  const lines = new StepLines(session, plan.total);
  for (const title of plan.metaTitles) lines.print(title);
  for (const stage of plan.stages) {
    const image = await buildStage(session, stage, lines);
    session.stages.push(image);
    if (image.record !== undefined) session.output.imageId(image.record.id);
  }
  if (plan.unusedArgs.length > 0) {
    session.output.line(`[Warning] One or more build-args [${plan.unusedArgs.join(" ")}] were not consumed`);
  }
  const last = session.stages.at(-1)?.record;
  if (last === undefined)
    throw new GantryError("invalid", "No image was generated. Is your Dockerfile empty?");
  return last;
}
