/** What every part of the engine works with: the rooms, the records, the paths. Made once by Engine.open. */
import type { Registries } from "../distribution/index.ts";
import type { ImageStore, Trees } from "../image/index.ts";
import type { CgroupLayout, Sys } from "../kernel/index.ts";
import type { Database, Logger } from "../lib/index.ts";
import type { Networks } from "../network/index.ts";
import type { Runtime } from "../runtime/index.ts";
import type { VolumeStore } from "../volume/index.ts";
import type { ContainerStore } from "./container-store.ts";
import type { EngineDefaults } from "./engine-defaults.ts";
import type { EventBus } from "./events.ts";
import type { HostFacts } from "./host-facts.ts";
import type { Runtimes } from "./runtimes.ts";
import type { EnginePaths } from "./paths.ts";
import type { UserLookup } from "./users/user-lookup.ts";

export interface EngineContext {
  readonly paths: EnginePaths;
  readonly sys: Sys;
  readonly logger: Logger;
  readonly db: Database;
  readonly cgroups: CgroupLayout;
  readonly host: HostFacts;
  readonly defaults: EngineDefaults;
  readonly runtime: Runtime;
  readonly runtimes: Runtimes;
  readonly images: ImageStore;
  readonly registries: Registries;
  readonly trees: Trees;
  readonly networks: Networks;
  readonly volumes: VolumeStore;
  readonly store: ContainerStore;
  readonly events: EventBus;
  readonly users: UserLookup;
}
