/** /networks. */
import { GantryError } from "../../lib/index.ts";
import type { Endpoint, Network } from "../../network/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { type Filters, fitsName, parseFilters } from "./filters.ts";
import { Fields } from "./json-fields.ts";
import { pruneFilters, untilOf } from "./prune-filters.ts";
import { readJson } from "./read-body.ts";
import { type Call, param, Reply, type Router } from "./router.ts";
import { wireNetwork } from "./wire-network.ts";

export function addNetworkRoutes(router: Router, engine: ApiEngine): void {
  const { networks } = engine;
  router.json("GET", "/networks", (call) => list(engine, call));
  router.json("POST", "/networks/create", async (call) => new Reply(201, await create(engine, call)));
  router.json("POST", "/networks/prune", (call) => prune(engine, call));
  router.json("GET", "/networks/:id", (call) => {
    const network = networks.find(param(call, "id"));
    return wireNetwork(network, endpointsOf(engine, network));
  });
  router.json("DELETE", "/networks/:id", async (call) => {
    const { id, name, driver } = networks.find(param(call, "id"));
    await networks.remove(id);
    engine.events.emit("network", "destroy", id, { name, type: driver });
  });
  for (const verb of ["connect", "disconnect"]) {
    router.json("POST", `/networks/:id/${verb}`, () => {
      throw new GantryError(
        "unsupported",
        `a container cannot be ${verb === "connect" ? "connected to a network" : "disconnected from its network"} after its creation`,
        {
          hint: "name the network when the container is created: --network NAME",
        },
      );
    });
  }
}

function endpointsOf({ containers, networks }: ApiEngine, network: Network): readonly Endpoint[] {
  return containers.list().flatMap(({ record }) => {
    const endpoint = networks.endpoint(record.id);
    return endpoint?.networkId === network.id ? [endpoint] : [];
  });
}

function list(engine: ApiEngine, { query }: Call): object[] {
  const filters = parseFilters(query.get("filters"), [
    "dangling",
    "driver",
    "id",
    "label",
    "label!",
    "name",
    "scope",
    "type",
  ]);
  const dangling = filters.flag("dangling");
  return engine.networks
    .list()
    .filter(
      (network) =>
        fits(network, filters) &&
        (dangling === undefined ||
          (!network.predefined && endpointsOf(engine, network).length === 0) === dangling),
    )
    .map((network) => wireNetwork(network));
}

function fits(network: Network, filters: Filters): boolean {
  return (
    filters.some("id", (id) => network.id.startsWith(id)) &&
    filters.some("name", (pattern) => fitsName(pattern, network.name)) &&
    filters.some("driver", (driver) => driver === network.driver) &&
    filters.some("scope", (scope) => scope === "local") &&
    filters.some("type", (type) => (type === "builtin") === network.predefined) &&
    filters.labels(network.labels)
  );
}

async function create({ networks, events }: ApiEngine, { request }: Call): Promise<object> {
  const fields = new Fields(await readJson(request), "");
  const ipam = fields.object("IPAM");
  const wish = {
    name: fields.string("Name"),
    driver: fields.string("Driver"),
    internal: fields.boolean("Internal"),
    attachable: fields.boolean("Attachable"),
    ipv6: fields.boolean("EnableIPv6"),
    labels: fields.stringMap("Labels"),
    options: fields.stringMap("Options"),
    ipam: ipam.list("Config").map((config) => ({
      subnet: config.string("Subnet"),
      gateway: config.string("Gateway"),
      ipRange: config.string("IPRange"),
    })),
    ipamDriver: ipam.string("Driver"),
  };
  if (wish.name === "") throw new GantryError("invalid", "network name cannot be blank");
  const scope = fields.string("Scope");
  if (scope !== "" && scope !== "local")
    throw new GantryError("unsupported", `networks of scope ${scope} are not supported`);
  if (!fields.boolean("EnableIPv4", true))
    throw new GantryError("unsupported", "networks without IPv4 are not supported");
  fields.boolean("CheckDuplicate");
  fields.raw("ConfigFrom");
  fields.refuseOthers();
  const network = await networks.create(wish);
  events.emit("network", "create", network.id, { name: network.name, type: network.driver });
  return { Id: network.id, Warning: "" };
}

/** Removes what no running container is in, one by one: one that was taken into use meanwhile stays. */
async function prune(engine: ApiEngine, { query }: Call): Promise<object> {
  const { networks, events } = engine;
  const filters = parseFilters(query.get("filters"), pruneFilters);
  const untilMs = untilOf(filters, Date.now());
  const NetworksDeleted: string[] = [];
  for (const network of networks.list()) {
    if (network.predefined || network.createdAtMs >= untilMs || !filters.labels(network.labels)) continue;
    if (endpointsOf(engine, network).length > 0) continue;
    try {
      await networks.remove(network.id);
    } catch (error) {
      // Removed or joined by a container in this moment.
      if (error instanceof GantryError && ["conflict", "denied", "not-found"].includes(error.code)) continue;
      throw error;
    }
    NetworksDeleted.push(network.name);
    events.emit("network", "destroy", network.id, { name: network.name, type: network.driver });
  }
  return { NetworksDeleted };
}
