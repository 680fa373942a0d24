/** engine: containers from record to exit. `Engine` is the door; api/ shows it over HTTP. */
export { Engine, type EngineOptions } from "./engine.ts";
export { defaultRoot, defaultState } from "./paths.ts";
