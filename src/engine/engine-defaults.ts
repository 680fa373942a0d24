/** What the engine does for every container that does not say otherwise: flags and configuration file. Pure. */
import type { ContainerRecord } from "./container.ts";

export interface EngineDefaults {
  /** A small init is process 1 (`--init`). */
  readonly init: boolean;
}

export const engineDefaults: EngineDefaults = { init: false };

/** `--init`, or the engine's default. */
export function usesInit(defaults: EngineDefaults, { host }: Pick<ContainerRecord, "host">): boolean {
  return host.Init ?? defaults.init;
}
