/** build: from a Dockerfile and a context to an image, step by step, as docker's classic builder does it. */
export { Builder } from "./builder.ts";
export type {
  BuilderOptions,
  BuildLimits,
  BuildMessage,
  BuildRequest,
  BuildRun,
  BuildRunner,
  BuildUlimit,
  FetchImage,
} from "./types.ts";
