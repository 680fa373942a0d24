/** A build as data: what is done, step by step, before anything is done. */
import type { ContainerDefaults } from "../../image/index.ts";
import type { Digest } from "../../lib/index.ts";

/** Where a stage starts. */
export type StageBase =
  | { readonly kind: "scratch" }
  | { readonly kind: "stage"; readonly index: number }
  | { readonly kind: "image"; readonly reference: string };

/** Where COPY takes its files from. */
export type CopySource =
  | { readonly kind: "context" }
  | { readonly kind: "stage"; readonly index: number }
  | { readonly kind: "image"; readonly reference: string };

/** A file whose content stands in the Dockerfile. */
export interface PlannedFile {
  readonly name: string;
  readonly content: string;
}

export interface CopyAction {
  readonly do: "copy";
  readonly instruction: "COPY" | "ADD";
  readonly sources: readonly string[];
  readonly inline: readonly PlannedFile[];
  /** As it is written, variables replaced. */
  readonly destination: string;
  readonly workingDir: string;
  readonly chown: string | undefined;
  /** Permission bits for every file. */
  readonly chmod: number | undefined;
  readonly from: CopySource;
  /** What the one URL of ADD must hash to. */
  readonly checksum: Digest | undefined;
}

export interface RunAction {
  readonly do: "run";
  readonly args: readonly string[];
  /** What history and cache know it by: build arguments in front (`|1 A=x /bin/sh -c …`). */
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  /** `default`: the one the client asked for. */
  readonly network: "default" | "none" | "host";
  /** A heredoc that begins with `#!`: put at `path` for the time of the command. */
  readonly script: { readonly path: string; readonly content: string } | undefined;
}

export type StepAction =
  /** Changes the configuration only; `comment` is what history says (`ENV a=b`). */
  | { readonly do: "config"; readonly comment: string }
  /** The configuration names the directory; it is made when it is missing. */
  | { readonly do: "workdir"; readonly path: string }
  | RunAction
  | CopyAction;

export interface PlannedStep {
  /** What the step line prints; undefined for a trigger, which has no line. */
  readonly title: string | undefined;
  /** Lines to print before the step is done. */
  readonly notes: readonly string[];
  /** Line of the Dockerfile. */
  readonly line: number;
  /** The image's configuration after this step. */
  readonly config: ContainerDefaults;
  readonly author: string | undefined;
  readonly action: StepAction;
}

export interface PlannedStage {
  readonly name: string | undefined;
  /** The FROM line. */
  readonly title: string;
  readonly line: number;
  readonly base: StageBase;
  /** ONBUILD instructions of the base: done as part of FROM. */
  readonly triggers: readonly PlannedStep[];
  readonly steps: readonly PlannedStep[];
  readonly config: ContainerDefaults;
  readonly author: string | undefined;
}

export interface BuildPlan {
  /** Step lines of the ARG instructions before the first FROM. */
  readonly metaTitles: readonly string[];
  readonly stages: readonly PlannedStage[];
  /** Build arguments of the client that no ARG used. */
  readonly unusedArgs: readonly string[];
  /** How many step lines there are. */
  readonly total: number;
}
