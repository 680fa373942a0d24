/** The instructions of a Dockerfile as data. Words are not expanded yet; `text` is the source, continuation lines joined. */
import type { Heredoc } from "./heredoc.ts";
import type { SourceRange } from "./source.ts";

interface Located {
  /** What the step line prints. */
  readonly text: string;
  readonly range: SourceRange;
}

/** A command line in exec form (`["a", "b"]`), or one string for the shell. */
export interface CommandLine {
  readonly form: "exec" | "shell";
  readonly args: readonly string[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** A file whose content stands in the Dockerfile. */
export interface InlineFile {
  readonly name: string;
  readonly content: string;
  readonly expand: boolean;
}

export interface CopyFields {
  readonly sources: readonly string[];
  readonly inline: readonly InlineFile[];
  readonly destination: string;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
}

/** Times are in nanoseconds, as the image configuration has them; 0 means inherit. */
export interface Healthcheck {
  readonly Test: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface FromInstruction extends Located {
  readonly kind: "from";
  readonly base: string;
  /** Lower case. */
  readonly name: string | undefined;
  readonly platform: string | undefined;
}

export interface ArgInstruction extends Located {
  readonly kind: "arg";
  readonly args: readonly { readonly name: string; readonly value: string | undefined }[];
}

export interface RunInstruction extends Located {
  readonly kind: "run";
  readonly command: CommandLine;
  readonly heredocs: readonly Heredoc[];
  readonly network: "default" | "none" | "host";
}

export interface CopyInstruction extends Located, CopyFields {
  readonly kind: "copy";
  /** A stage (name or number) or an image. */
  readonly from: string | undefined;
}

export interface AddInstruction extends Located, CopyFields {
  readonly kind: "add";
  readonly checksum: string | undefined;
}

export interface OnbuildInstruction extends Located {
  readonly kind: "onbuild";
  /** The trigger as it is stored in the image. */
  readonly trigger: string;
}

/** Everything that may stand in a stage. */
export type Instruction =
  | ArgInstruction
  | RunInstruction
  | CopyInstruction
  | AddInstruction
  | OnbuildInstruction
  | (Located & { readonly kind: "cmd"; readonly command: CommandLine })
  | (Located & { readonly kind: "entrypoint"; readonly command: CommandLine })
  | (Located & { readonly kind: "shell"; readonly args: readonly string[] })
  | (Located & { readonly kind: "env"; readonly pairs: readonly KeyValue[] })
  | (Located & { readonly kind: "label"; readonly pairs: readonly KeyValue[]; readonly literal: boolean })
  | (Located & { readonly kind: "expose"; readonly ports: readonly string[] })
  | (Located & { readonly kind: "volume"; readonly paths: readonly string[] })
  | (Located & { readonly kind: "workdir"; readonly path: string })
  | (Located & { readonly kind: "user"; readonly user: string })
  | (Located & { readonly kind: "stopsignal"; readonly signal: string })
  | (Located & { readonly kind: "maintainer"; readonly name: string })
  | (Located & { readonly kind: "healthcheck"; readonly check: Healthcheck });

export interface Stage {
  readonly from: FromInstruction;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly source: string;
  /** `\` or, by the escape directive, a backtick. */
  readonly escape: string;
  /** ARG instructions before the first FROM. */
  readonly metaArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  /** Lines for the user that are no errors. */
  readonly warnings: readonly string[];
}
