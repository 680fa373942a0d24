/** What the routes use of the engine; tests give them a double. */
import type { Engine } from "../engine.ts";

/** The public members of a class, without its private ones: what a double must have. */
type Public<T> = Pick<T, keyof T>;

export interface ApiEngine extends Pick<Engine, "id" | "startedAtMs" | "paths" | "logger" | "sys"> {
  readonly containers: Public<Engine["containers"]>;
  readonly execs: Public<Engine["execs"]>;
  readonly images: Public<Engine["images"]>;
  readonly trees: Public<Engine["trees"]>;
  readonly networks: Public<Engine["networks"]>;
  readonly volumes: Public<Engine["volumes"]>;
  readonly builder: Public<Engine["builder"]>;
  readonly events: Public<Engine["events"]>;
}
