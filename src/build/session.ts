/** What the steps of one running build share. */
import type { Hold, ImageRecord, ImageStore, Trees } from "../image/index.ts";
import type { Digest, Logger } from "../lib/index.ts";
import type { BuildOutput } from "./output.ts";
import type { StepCache } from "./step-cache.ts";
import type { BuildContext } from "./context.ts";
import type { StageImage } from "./stage-image.ts";
import type { BuildRequest, BuildRunner } from "./types.ts";
import type { WorkArea } from "./work-area.ts";

export interface Session {
  readonly images: ImageStore;
  /** An image that is here, or is brought here first; this build keeps it. */
  readonly findImage: (reference: string) => Promise<ImageRecord>;
  readonly trees: Trees;
  readonly runner: BuildRunner;
  readonly logger: Logger;
  readonly cache: StepCache;
  /** Images that the cache may answer with; undefined: any. */
  readonly cacheSources: ReadonlySet<Digest> | undefined;
  readonly area: WorkArea;
  /** Keeps everything this build has made or starts from. */
  readonly hold: Hold;
  readonly output: BuildOutput;
  readonly request: BuildRequest;
  readonly context: BuildContext;
  /** The builder's directory. */
  readonly root: string;
  /** Results of the stages before the running one. */
  readonly stages: StageImage[];
  readonly maxContextBytes: number;
  readonly maxDownloadBytes: number;
  readonly now: () => number;
  readonly signal: AbortSignal;
}
