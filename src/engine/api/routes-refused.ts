/** Parts of the Docker API that stand for things Gantry does not have; answered as an engine without them answers. */
import { GantryError } from "../../lib/index.ts";
import type { Router } from "./router.ts";

const methods = ["GET", "POST", "PUT", "DELETE"] as const;
const swarmPaths = ["swarm", "nodes", "services", "tasks", "secrets", "configs"] as const;

export function addRefusedRoutes(router: Router): void {
  const notManager = (): never => {
    throw new GantryError(
      "unavailable",
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  };
  for (const method of methods) {
    for (const path of swarmPaths) {
      router.json(method, `/${path}`, notManager);
      router.json(method, `/${path}/*rest`, notManager);
    }
  }
  router.json("GET", "/plugins", () => []);
  const noPlugins = (): never => {
    throw new GantryError("unsupported", "managed plugins are not supported");
  };
  for (const method of methods) router.json(method, "/plugins/*rest", noPlugins);
  const noCheckpoints = (): never => {
    throw new GantryError("unsupported", "checkpoints of containers are not supported");
  };
  for (const method of methods) {
    router.json(method, "/containers/:id/checkpoints", noCheckpoints);
    router.json(method, "/containers/:id/checkpoints/*rest", noCheckpoints);
  }
}
