/** All routes on one server: the whole of api/ in one call. */
import type { Server } from "node:http";
import type { ApiEngine } from "./api-engine.ts";
import { HttpCounters } from "./http-counters.ts";
import { Router } from "./router.ts";
import { addArchiveRoutes } from "./routes-archive.ts";
import { addBuildRoutes } from "./routes-build.ts";
import { addContainerRoutes } from "./routes-containers.ts";
import { addEventRoutes } from "./routes-events.ts";
import { addExecRoutes } from "./routes-exec.ts";
import { addGantryRoutes, type Uninstall } from "./routes-gantry.ts";
import { addDistributionRoutes } from "./routes-distribution.ts";
import { addImageRoutes } from "./routes-images.ts";
import { addMetricsRoutes } from "./routes-metrics.ts";
import { addNetworkRoutes } from "./routes-networks.ts";
import { addRefusedRoutes } from "./routes-refused.ts";
import { addStreamRoutes } from "./routes-streams.ts";
import { addSystemRoutes } from "./routes-system.ts";
import { addVolumeRoutes } from "./routes-volumes.ts";
import { createApiServer } from "./server.ts";

export interface ApiOptions {
  readonly debug: boolean;
  /** Absent: the call to uninstall is refused. */
  readonly uninstall?: Uninstall;
}

/** Makes servers of one engine; each listens on its own address, all count into the same metrics. */
export function createApi(engine: ApiEngine, options: ApiOptions): () => Server {
  const router = new Router();
  const counters = new HttpCounters();
  addSystemRoutes(router, engine, options);
  addContainerRoutes(router, engine);
  addStreamRoutes(router, engine);
  addExecRoutes(router, engine);
  addGantryRoutes(router, engine, options);
  addDistributionRoutes(router, engine);
  addImageRoutes(router, engine);
  addBuildRoutes(router, engine);
  addNetworkRoutes(router, engine);
  addVolumeRoutes(router, engine);
  addEventRoutes(router, engine);
  addArchiveRoutes(router, engine);
  addMetricsRoutes(router, engine, counters);
  addRefusedRoutes(router);
  return () => createApiServer({ router, logger: engine.logger, counters });
}
