/** /containers/{id}/archive and /export: files in and out of containers, as `docker cp` asks for them. */
import type { ServerResponse } from "node:http";
import type { TreeRoot } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { containerTree, layersTree } from "./container-tree.ts";
import { sendStream } from "./output.ts";
import { flagOf, textOf } from "./query.ts";
import { bodyOf } from "./read-body.ts";
import { type Call, param, Reply, type Router } from "./router.ts";
import { type PathStat, wirePathStat } from "./wire-path-stat.ts";

export function addArchiveRoutes(router: Router, engine: ApiEngine): void {
  router.json("HEAD", "/containers/:id/archive", async (call) => {
    const { stat } = await lookUp(engine, call);
    return new Reply(200, undefined, statHeader(stat));
  });
  router.stream("GET", "/containers/:id/archive", (call, response) => copyOut(engine, call, response));
  router.json("PUT", "/containers/:id/archive", (call) => copyIn(engine, call));
  router.stream("GET", "/containers/:id/export", (call, response) => exportTree(engine, call, response));
}

interface Found {
  readonly root: TreeRoot;
  readonly path: string;
  readonly stat: PathStat;
}

const statHeader = (stat: PathStat): Readonly<Record<string, string>> => ({
  "X-Docker-Container-Path-Stat": Buffer.from(JSON.stringify(stat)).toString("base64"),
});

/** @throws {GantryError} "not-found", "invalid" */
async function lookUp({ containers, trees, paths }: ApiEngine, call: Call): Promise<Found> {
  const id = param(call, "id");
  const view = containers.view(id);
  const path = pathOf(call);
  const root = containerTree(paths, view);
  const entry = (await trees.list(root, path, { recursive: false }))?.[0];
  if (entry === undefined)
    throw new GantryError("not-found", `Could not find the file ${path} in container ${id}`);
  return { root, path, stat: wirePathStat(path, entry) };
}

function pathOf({ query }: Call): string {
  const path = textOf(query, "path");
  if (path === "") throw new GantryError("invalid", "bad parameter: path is empty");
  if (path.includes("\0") || Buffer.byteLength(path) > 4095)
    throw new GantryError("invalid", "bad parameter: path is no path");
  return path.startsWith("/") ? path : `/${path}`;
}

async function copyOut(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const { root, path, stat } = await lookUp(engine, call);
  for (const [name, value] of Object.entries(statHeader(stat))) response.setHeader(name, value);
  // `DIR/.` is the directory's content; the archive then has it below the directory's own name, as dockerd's has.
  const source = engine.trees.pack(root, { items: [{ path, as: stat.name }], signal: call.signal });
  await sendStream(response, source, { contentType: "application/x-tar" });
}

async function copyIn(engine: ApiEngine, call: Call): Promise<Reply> {
  const { containers, trees, paths } = engine;
  const id = param(call, "id");
  const view = containers.view(id);
  if (view.record.host.ReadonlyRootfs)
    throw new GantryError("denied", "container rootfs is marked read-only");
  const path = pathOf(call);
  const root = containerTree(paths, view);
  const entry = (await trees.list(root, path, { recursive: false }))?.[0];
  if (entry === undefined)
    throw new GantryError("not-found", `Could not find the file ${path} in container ${id}`);
  if (entry.type !== "dir") throw new GantryError("invalid", "extraction point is not a directory");
  if (flagOf(call.query, "copyUIDGID") && view.record.config.User !== "") {
    throw new GantryError("unsupported", "copying with the container's own user (cp -a) is not supported");
  }
  await trees.unpack(root, path, bodyOf(call.request), { signal: call.signal });
  return new Reply(200);
}

async function exportTree(
  { containers, trees, paths }: ApiEngine,
  call: Call,
  response: ServerResponse,
): Promise<void> {
  const view = containers.view(param(call, "id"));
  const source = trees.pack(layersTree(paths, view), {
    items: [{ path: "/", as: "", contentsOnly: true }],
    signal: call.signal,
  });
  await sendStream(response, source, { contentType: "application/octet-stream" });
}
