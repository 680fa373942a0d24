/** What the routes use of the engine; tests give them a double. */
import type { Engine } from "../engine.ts";

export type ApiEngine = Pick<
  Engine,
  | "id"
  | "startedAtMs"
  | "paths"
  | "logger"
  | "sys"
  | "containers"
  | "execs"
  | "images"
  | "registries"
  | "trees"
  | "networks"
  | "volumes"
  | "builder"
  | "events"
  | "runtimes"
  | "live"
  | "shutDown"
>;
