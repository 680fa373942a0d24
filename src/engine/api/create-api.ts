/** All routes on one server: the whole of api/ in one call. */
import type { ApiEngine } from "./api-engine.ts";
import { HttpCounters } from "./http-counters.ts";
import { Router } from "./router.ts";
import { addArchiveRoutes } from "./routes-archive.ts";
import { addBuildRoutes } from "./routes-build.ts";
import { addChangesRoutes } from "./routes-changes.ts";
import { addContainerRoutes } from "./routes-containers.ts";
import { addEventRoutes } from "./routes-events.ts";
import { addExecRoutes } from "./routes-exec.ts";
import { addGantryRoutes } from "./routes-gantry.ts";
import { addLifeRoutes, type EngineProcess } from "./routes-life.ts";
import { addDistributionRoutes } from "./routes-distribution.ts";
import { addImageRoutes } from "./routes-images.ts";
import { addMetricsRoutes } from "./routes-metrics.ts";
import { addNetworkRoutes } from "./routes-networks.ts";
import { addRefusedRoutes } from "./routes-refused.ts";
import { addStreamRoutes } from "./routes-streams.ts";
import { addSystemRoutes } from "./routes-system.ts";
import { addVolumeRoutes } from "./routes-volumes.ts";
import { type ApiServer, createApiServer } from "./server.ts";
import type { TlsIdentity } from "./tls-identity.ts";

export interface ApiOptions {
  /** Absent: calls that end the engine are refused. */
  readonly process?: EngineProcess;
}

/** Makes the servers of one engine; each listens on its own address, all count into the same metrics. */
export interface Api {
  /** Of everything. */
  readonly createServer: (tls?: TlsIdentity) => ApiServer;
  /** Of GET /metrics alone, for whoever asks. */
  readonly createMetricsServer: () => ApiServer;
}

export function createApi(engine: ApiEngine, options: ApiOptions): Api {
  const router = new Router();
  const counters = new HttpCounters();
  addSystemRoutes(router, engine);
  addContainerRoutes(router, engine);
  addStreamRoutes(router, engine);
  addExecRoutes(router, engine);
  addGantryRoutes(router, engine);
  addLifeRoutes(router, engine, options.process);
  addDistributionRoutes(router, engine);
  addImageRoutes(router, engine);
  addBuildRoutes(router, engine);
  addNetworkRoutes(router, engine);
  addVolumeRoutes(router, engine);
  addEventRoutes(router, engine);
  addArchiveRoutes(router, engine);
  addChangesRoutes(router, engine);
  addMetricsRoutes(router, engine, counters);
  addRefusedRoutes(router);
  const metrics = new Router();
  addMetricsRoutes(metrics, engine, counters);
  const { logger } = engine;
  return {
    createServer: (tls) => createApiServer({ router, logger, counters }, tls),
    createMetricsServer: () => createApiServer({ router: metrics, logger, counters }),
  };
}
