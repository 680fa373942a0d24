/** From a Dockerfile and the configurations of its base images to a plan. Pure: nothing is looked up, nothing is done. */
import type { ContainerDefaults } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import { ExpansionBudget, expandWord } from "../dockerfile/expand-word.ts";
import type { Dockerfile, Instruction, Stage } from "../dockerfile/instruction.ts";
import { parseTrigger } from "../dockerfile/parse-dockerfile.ts";
import { SyntaxProblem } from "../dockerfile/source.ts";
import type { BuildArgs } from "./build-args.ts";
import { withDefaultPath } from "./env-list.ts";
import { planConfig, workingDirectory } from "./plan-config.ts";
import { planCopy } from "./plan-copy.ts";
import { planRun } from "./plan-run.ts";
import { type Blame, blameSource, type Scope } from "./scope.ts";
import type { BuildPlan, PlannedStage, PlannedStep, StageBase } from "./step.ts";

/** What a stage inherits. */
export interface BaseImage {
  readonly config: ContainerDefaults;
  readonly author: string | undefined;
}

export interface PlanOptions {
  readonly args: BuildArgs;
  /** Labels of the client, put on the last stage. */
  readonly labels: Readonly<Record<string, string>>;
  /** Name or number of the last stage to build; empty: all. */
  readonly target: string;
  /** `linux/amd64`. */
  readonly platform: string;
}

/** True when `platform` names this machine's. */
export function isPlatform(platform: string, own: string): boolean {
  const [os, architecture] = own.split("/");
  return [own, os, architecture].includes(platform) || platform.startsWith(`${own}/`);
}

function checkPlatform(platform: string | undefined, options: PlanOptions): void {
  if (platform === undefined || platform === "" || isPlatform(platform, options.platform)) return;
  throw new SyntaxProblem(
    `platform ${platform.slice(0, 60)} cannot be built here`,
    0,
    `this machine builds ${options.platform}`,
  );
}

/** @throws {GantryError} "invalid" when no stage has that name or number */
function stagesUpTo(dockerfile: Dockerfile, target: string): readonly Stage[] {
  if (target === "") return dockerfile.stages;
  const named = dockerfile.stages.findIndex((stage) => stage.from.name === target.toLowerCase());
  const index = named < 0 && /^\d{1,9}$/.test(target) ? Number(target) : named;
  if (index >= 0 && index < dockerfile.stages.length) return dockerfile.stages.slice(0, index + 1);
  const names = dockerfile.stages.flatMap((stage) => stage.from.name ?? []);
  throw new GantryError(
    "invalid",
    `target stage ${JSON.stringify(target.slice(0, 100))} could not be found`,
    {
      hint:
        names.length === 0
          ? "the stages have no names; give one with FROM image AS name"
          : `stages: ${names.join(", ")}`,
    },
  );
}

function withLabels(stages: readonly Stage[], labels: Readonly<Record<string, string>>): readonly Stage[] {
  const pairs = Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value }));
  const last = stages.at(-1);
  if (pairs.length === 0 || last === undefined) return stages;
  const text = ["LABEL", ...pairs.map(({ key, value }) => `${key}=${value}`)].join(" ");
  const label: Instruction = { kind: "label", text, range: last.from.range, pairs, literal: true };
  return stages.with(-1, { ...last, instructions: [...last.instructions, label] });
}

type Expand = (word: string) => string;

/** How words outside of stages are expanded: by the arguments before the first FROM. */
function metaExpander(dockerfile: Dockerfile, args: BuildArgs): Expand {
  const budget = new ExpansionBudget();
  return (word) =>
    expandWord(word, { escape: dockerfile.escape, budget, lookup: (name) => args.metaValue(name) });
}

function declareMeta(dockerfile: Dockerfile, args: BuildArgs, expand: Expand): readonly string[] {
  const blame = blameSource(dockerfile.source);
  for (const instruction of dockerfile.metaArgs) {
    try {
      for (const arg of instruction.args)
        args.declareMeta(expand(arg.name), arg.value === undefined ? undefined : expand(arg.value));
    } catch (error) {
      throw error instanceof SyntaxProblem ? blame(error, instruction.range) : error;
    }
  }
  return dockerfile.metaArgs.map((instruction) => instruction.text);
}

function baseOf(stage: Stage, names: readonly (string | undefined)[], expand: Expand): StageBase {
  const name = expand(stage.from.base);
  if (name === "") throw new SyntaxProblem(`base name (${stage.from.base}) should not be blank`);
  const index = names.lastIndexOf(name.toLowerCase());
  if (index >= 0) return { kind: "stage", index };
  return name === "scratch" ? { kind: "scratch" } : { kind: "image", reference: name };
}

/** One stage's FROM, looked at alone. */
export interface StageOutline {
  readonly stage: Stage;
  readonly base: StageBase;
}

export interface Outline {
  readonly metaTitles: readonly string[];
  readonly stages: readonly StageOutline[];
}

/**
 * The stages to build and where each starts: what has to be looked up before the plan can be made.
 * @throws {GantryError} "invalid" with line and column
 */
export function outlineBuild(dockerfile: Dockerfile, options: PlanOptions): Outline {
  const blame = blameSource(dockerfile.source);
  const stages = withLabels(stagesUpTo(dockerfile, options.target), options.labels);
  const expand = metaExpander(dockerfile, options.args);
  const metaTitles = declareMeta(dockerfile, options.args, expand);
  const names: (string | undefined)[] = [];
  const outlines = stages.map((stage) => {
    try {
      checkPlatform(expand(stage.from.platform ?? ""), options);
      const base = baseOf(stage, names, expand);
      names.push(stage.from.name);
      return { stage, base };
    } catch (error) {
      throw error instanceof SyntaxProblem ? blame(error, stage.from.range) : error;
    }
  });
  return { metaTitles, stages: outlines };
}

/** One instruction: its step, and the scope changed for the next. */
function planInstruction(scope: Scope, instruction: Instruction, isTrigger: boolean): PlannedStep {
  const step = (action: PlannedStep["action"], notes: readonly string[] = []): PlannedStep => ({
    title: isTrigger ? undefined : instruction.text,
    notes,
    line: instruction.range.start.line,
    config: scope.config,
    author: scope.author,
    action,
  });
  switch (instruction.kind) {
    case "run":
      return step(planRun(scope, instruction));
    case "copy":
    case "add":
      return step(planCopy(scope, instruction));
    case "workdir": {
      const path = workingDirectory(scope, instruction.path);
      scope.config = { ...scope.config, WorkingDir: path };
      return step({ do: "workdir", path });
    }
    default: {
      const { config, comment, notes } = planConfig(scope, instruction);
      scope.config = config;
      return step({ do: "config", comment }, notes);
    }
  }
}

function planSteps(scope: Scope, instructions: readonly Instruction[], blame: Blame): readonly PlannedStep[] {
  return instructions.map((instruction) => {
    try {
      return planInstruction(scope, instruction, false);
    } catch (error) {
      throw error instanceof SyntaxProblem ? blame(error, instruction.range) : error;
    }
  });
}

/** The base's ONBUILD instructions as steps of this stage; what they change is the stage's start. */
function planTriggers(scope: Scope): readonly PlannedStep[] {
  const { OnBuild: triggers = [], ...config } = scope.config;
  // A trigger was written in another Dockerfile: its escape character is the default one.
  const inner: Scope = { ...scope, config, escape: "\\" };
  const steps = triggers.map((trigger) => {
    const instruction = parseTrigger(trigger);
    try {
      return planInstruction(inner, instruction, true);
    } catch (error) {
      throw error instanceof SyntaxProblem ? blameSource(trigger)(error, instruction.range) : error;
    }
  });
  Object.assign(scope, { config: inner.config, author: inner.author, cmdSet: inner.cmdSet });
  return steps;
}

/**
 * @param bases configurations of the images that `outline` names, by reference
 * @throws {GantryError} "invalid" with line and column: a word that does not expand, a stage that does not exist
 */
export function planBuild(
  dockerfile: Dockerfile,
  outline: Outline,
  bases: ReadonlyMap<string, BaseImage>,
  args: BuildArgs,
): BuildPlan {
  const blame = blameSource(dockerfile.source);
  const budget = new ExpansionBudget();
  const stages: PlannedStage[] = [];
  for (const { stage, base } of outline.stages) {
    args.beginStage();
    const from = inherited(base, bases, stages);
    const scope: Scope = {
      args,
      escape: dockerfile.escape,
      budget,
      stageNames: stages.map((s) => s.name),
      config: { ...from.config, Env: withDefaultPath(from.config.Env ?? []) },
      author: from.author,
      cmdSet: false,
    };
    const triggers = planTriggers(scope);
    const steps = planSteps(scope, stage.instructions, blame);
    stages.push({
      name: stage.from.name,
      title: stage.from.text,
      line: stage.from.range.start.line,
      base,
      triggers,
      steps,
      config: scope.config,
      author: scope.author,
    });
  }
  const total = stages.reduce((sum, stage) => sum + 1 + stage.steps.length, outline.metaTitles.length);
  return { metaTitles: outline.metaTitles, stages, unusedArgs: args.unused(), total };
}

function inherited(
  base: StageBase,
  bases: ReadonlyMap<string, BaseImage>,
  stages: readonly PlannedStage[],
): BaseImage {
  const found =
    base.kind === "scratch"
      ? { config: {}, author: undefined }
      : base.kind === "stage"
        ? stages[base.index]
        : bases.get(base.reference);
  if (found === undefined)
    throw new GantryError("internal", `the base ${JSON.stringify(base)} of a stage was not looked up`);
  return found;
}
