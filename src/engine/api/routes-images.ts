/** /images: the image store over HTTP. */
import type { ServerResponse } from "node:http";
import { GantryError, toGantryError } from "../../lib/index.ts";
import { layoutArchive } from "../layout-archive.ts";
import type { ApiEngine } from "./api-engine.ts";
import { parseFilters } from "./filters.ts";
import { selectImages } from "./image-filters.ts";
import { imagesUse } from "./image-use.ts";
import { importAci } from "./import-aci.ts";
import { parseChanges } from "./import-changes.ts";
import { JsonMessages, sendStream } from "./output.ts";
import { pruneFilters, untilOf } from "./prune-filters.ts";
import { flagOf, textOf } from "./query.ts";
import { bodyOf } from "./read-body.ts";
import { type Call, param, Reply, type Router } from "./router.ts";
import { checkPlatform } from "./routes-containers.ts";
import { pull } from "./routes-transfers.ts";
import { notCounted, wireHistory, wireImage, wireImageSummary, wireRemoved } from "./wire-image.ts";

export function addImageRoutes(router: Router, engine: ApiEngine): void {
  const { images } = engine;
  router.json("GET", "/images/json", (call) => list(engine, call));
  router.stream("POST", "/images/create", (call, response) => createImage(engine, call, response));
  router.stream("POST", "/images/load", (call, response) => load(engine, call, response));
  router.json("POST", "/images/prune", (call) => prune(engine, call));
  router.stream("GET", "/images/get", (call, response) =>
    save(engine, call, response, call.query.getAll("names")),
  );
  router.json("GET", "/images/*name/json", (call) => wireImage(images.find(param(call, "name"))));
  router.json("GET", "/images/*name/history", (call) => wireHistory(images.history(param(call, "name"))));
  router.stream("GET", "/images/*name/get", (call, response) =>
    save(engine, call, response, [param(call, "name")]),
  );
  router.json("POST", "/images/*name/tag", (call) => tag(engine, call));
  router.json("DELETE", "/images/*name", (call) => remove(engine, call));
}

function list({ images, containers }: ApiEngine, { query }: Call): object[] {
  const all = images.list();
  const chosen = selectImages(all, query.get("filters"), flagOf(query, "all"), {
    find: (reference) => images.find(reference),
    nowMs: Date.now(),
  });
  if (!flagOf(query, "shared-size")) return chosen.map((image) => wireImageSummary(image, notCounted));
  const users = containers.list().map(({ record }) => record.imageId);
  const use = imagesUse(all, (chainId) => images.layer(chainId), users);
  return chosen.map((image) => wireImageSummary(image, use.of.get(image.id) ?? notCounted));
}

/** A pull, or an import of a root file system. */
async function createImage(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const { query } = call;
  if (textOf(query, "fromImage") !== "") return pull(engine, call, response);
  const source = textOf(query, "fromSrc");
  if (source === "") throw new GantryError("invalid", "neither fromImage nor fromSrc is given");
  if (source !== "-") {
    throw new GantryError(
      "unsupported",
      `cannot import from ${source.slice(0, 200)}: this engine does not import from URLs`,
      { hint: "fetch it and send it: curl -L URL | docker import -" },
    );
  }
  const repository = textOf(query, "repo");
  if (flagOf(query, "aci"))
    return importAci(
      engine,
      call,
      response,
      repository === "" ? "" : nameOf(repository, textOf(query, "tag")),
    );
  checkPlatform(textOf(query, "platform"));
  const config = parseChanges(query.getAll("changes"));
  const messages = new JsonMessages(response);
  try {
    const image = await engine.images.importTar(bodyOf(call.request), {
      ...(repository === "" ? {} : { reference: nameOf(repository, textOf(query, "tag")) }),
      config,
      message: textOf(query, "message") || "Imported from -",
      signal: call.signal,
    });
    engine.events.emit("image", "import", image.id, { name: image.repoTags[0] ?? image.id });
    void messages.send({ status: image.id });
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}

/** `tag` is a tag or a digest. */
function nameOf(repository: string, tag: string): string {
  if (tag === "") return repository;
  return tag.includes(":") ? `${repository}@${tag}` : `${repository}:${tag}`;
}

async function load(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  checkPlatform(textOf(call.query, "platform"));
  const quiet = flagOf(call.query, "quiet");
  const messages = new JsonMessages(response);
  const signal = AbortSignal.any([call.signal, messages.tooSlow]);
  try {
    const loaded = await engine.images.load(bodyOf(call.request), {
      signal,
      onProgress: ({ layer, status }) => {
        if (!quiet && status !== "done")
          void messages.send({
            id: layer.slice("sha256:".length).slice(0, 12),
            status: progressWords[status],
            progressDetail: {},
          });
      },
    });
    for (const { id, references } of loaded) {
      engine.events.emit("image", "load", id, { name: references[0] ?? id });
      const names = references.map((name) => `Loaded image: ${name}\n`);
      for (const stream of names.length === 0 ? [`Loaded image ID: ${id}\n`] : names)
        void messages.send({ stream });
    }
    messages.end();
  } catch (error) {
    // Never by the status, as in dockerd: its clients look for it in the stream.
    await messages.failInStream(toGantryError(error));
  }
}

const progressWords = { unpacking: "Loading layer", exists: "Layer already exists" } as const;

async function save(
  { images }: ApiEngine,
  call: Call,
  response: ServerResponse,
  names: readonly string[],
): Promise<void> {
  checkPlatform(textOf(call.query, "platform"));
  const wanted = names.flatMap((name) => name.split(",")).filter((name) => name !== "");
  if (wanted.length === 0) throw new GantryError("invalid", "no image is named");
  // Before the first byte, so that an unknown one is an error and not half an archive.
  for (const name of wanted) images.find(name);
  const source =
    formatOf(textOf(call.query, "format")) === "oci"
      ? layoutArchive(images, wanted, call.signal)
      : images.save(wanted, call.signal);
  await sendStream(response, source, { contentType: "application/x-tar" });
}

/** Ours: docker's API has one format, which is both but has no layer as it came. */
function formatOf(word: string): "docker" | "oci" {
  if (word === "" || word === "docker") return "docker";
  if (word === "oci") return word;
  throw new GantryError("invalid", `invalid format ${JSON.stringify(word.slice(0, 40))}`, {
    hint: "there are: docker oci",
  });
}

function tag({ images, events }: ApiEngine, { query, ...call }: Call): Reply {
  const source = call.params["name"] ?? "";
  const repository = textOf(query, "repo");
  if (repository === "") throw new GantryError("invalid", "invalid reference format: repo is empty");
  const target = nameOf(repository, textOf(query, "tag"));
  images.tag(source, target);
  events.emit("image", "tag", images.find(source).id, { name: target });
  return new Reply(201);
}

async function remove({ images, containers, events }: ApiEngine, call: Call): Promise<object[]> {
  const removed = await images.remove(param(call, "name"), {
    force: flagOf(call.query, "force"),
    noPrune: flagOf(call.query, "noprune"),
    usedBy: (id) => containers.imageUser(id),
  });
  emitRemoved(events, removed);
  return wireRemoved(removed);
}

function emitRemoved(events: ApiEngine["events"], removed: Parameters<typeof wireRemoved>[0]): void {
  for (const item of removed) {
    if ("untagged" in item) events.emit("image", "untag", item.untagged, { name: item.untagged });
    else events.emit("image", "delete", item.deleted, { name: item.deleted });
  }
}

async function prune({ images, containers, builder, events }: ApiEngine, { query }: Call): Promise<object> {
  const filters = parseFilters(query.get("filters"), ["dangling", ...pruneFilters]);
  const untilMs = untilOf(filters, Date.now());
  const { removed, reclaimedBytes } = await images.prune({
    dangling: filters.flag("dangling") ?? true,
    usedBy: (id) => containers.imageUser(id),
    filter: (image) => image.createdAtMs < untilMs && filters.labels(image.config.config.Labels ?? {}),
  });
  await builder.forgetRemoved();
  emitRemoved(events, removed);
  return {
    ImagesDeleted: removed.length === 0 ? null : wireRemoved(removed),
    SpaceReclaimed: reclaimedBytes,
  };
}
