/** /volumes. */
import { GantryError } from "../../lib/index.ts";
import type { Volume } from "../../volume/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { type Filters, fitsName, parseFilters } from "./filters.ts";
import { Fields } from "./json-fields.ts";
import { flagOf } from "./query.ts";
import { readJson } from "./read-body.ts";
import { type Call, isBelow, param, Reply, type Router } from "./router.ts";
import { wireVolume } from "./wire-volume.ts";

export function addVolumeRoutes(router: Router, engine: ApiEngine): void {
  const { containers, volumes } = engine;
  router.json("GET", "/volumes", (call) => list(engine, call));
  router.json("POST", "/volumes/create", async (call) => new Reply(201, await create(engine, call)));
  router.json("POST", "/volumes/prune", (call) => prune(engine, call));
  router.json("GET", "/volumes/:name", (call) => wireVolume(volumes.find(param(call, "name"))));
  router.json("DELETE", "/volumes/:name", async (call) => {
    const name = param(call, "name");
    const users = containers.volumeUsers(name);
    if (users.length > 0) {
      throw new GantryError("conflict", `remove ${name}: volume is in use - [${users.join(", ")}]`, {
        hint: "remove those containers first",
      });
    }
    await volumes.remove(name, { force: flagOf(call.query, "force") });
    engine.events.emit("volume", "destroy", name, { driver: "local" });
  });
  router.json("PUT", "/volumes/:name", () => {
    throw new GantryError(
      "unavailable",
      "This node is not a swarm manager. Only cluster volumes can be changed.",
    );
  });
}

function list({ containers, volumes }: ApiEngine, { query }: Call): object {
  const filters = parseFilters(query.get("filters"), ["dangling", "driver", "label", "label!", "name"]);
  const dangling = filters.flag("dangling");
  const chosen = volumes
    .list()
    .filter(
      (volume) =>
        fits(volume, filters) &&
        filters.some("driver", (driver) => driver === volume.driver) &&
        (dangling === undefined || (containers.volumeUsers(volume.name).length === 0) === dangling),
    );
  return { Volumes: chosen.map((volume) => wireVolume(volume)), Warnings: null };
}

function fits(volume: Volume, filters: Filters): boolean {
  return filters.labels(volume.labels) && filters.some("name", (pattern) => fitsName(pattern, volume.name));
}

async function create({ volumes, events }: ApiEngine, { request }: Call): Promise<object> {
  const fields = new Fields(await readJson(request), "");
  const wish = {
    name: fields.string("Name"),
    driver: fields.string("Driver"),
    labels: fields.stringMap("Labels"),
    options: fields.stringMap("DriverOpts"),
  };
  const known = volumes.tryFind(wish.name) !== undefined;
  const volume = volumes.create(wish);
  if (!known) events.emit("volume", "create", volume.name, { driver: volume.driver });
  return wireVolume(volume);
}

async function prune({ containers, volumes, events }: ApiEngine, { query, version }: Call): Promise<object> {
  const filters = parseFilters(query.get("filters"), ["all", "label", "label!"]);
  const used = new Set(
    volumes.list().flatMap(({ name }) => (containers.volumeUsers(name).length > 0 ? [name] : [])),
  );
  const { deleted, reclaimedBytes } = await volumes.prune(used, {
    // Before 1.42 there were no anonymous ones to tell apart.
    all: filters.flag("all") ?? isBelow(version, [1, 42]),
    mayGo: (volume) => filters.labels(volume.labels),
  });
  for (const name of deleted) events.emit("volume", "destroy", name, { driver: "local" });
  return { VolumesDeleted: deleted, SpaceReclaimed: reclaimedBytes };
}
