/** /containers: everything but what joins streams (routes-streams) and copies files (routes-archive). */
import { GantryError } from "../../lib/index.ts";
import type { WaitCondition } from "../containers/waiters.ts";
import type { ApiEngine } from "./api-engine.ts";
import { containerFilters, selectContainers } from "./container-filters.ts";
import { parseFilters } from "./filters.ts";
import { parseCreate } from "./parse-create.ts";
import { parseUpdate } from "./parse-update.ts";
import { pruneFilters, untilOf } from "./prune-filters.ts";
import { flagOf, numberOf, textOf } from "./query.ts";
import { readJson } from "./read-body.ts";
import { type Call, param, Reply, type Router } from "./router.ts";
import { inStartWords } from "./start-words.ts";
import { terminalSizeOf } from "./terminal-size.ts";
import { wireInspect, wireSummary } from "./wire-container.ts";

export function addContainerRoutes(router: Router, engine: ApiEngine): void {
  const { containers } = engine;
  router.json("GET", "/containers/json", (call) => list(engine, call));
  router.json("POST", "/containers/create", (call) => create(engine, call));
  router.json("POST", "/containers/prune", (call) => prune(engine, call));
  router.json("GET", "/containers/:id/json", (call) => inspect(engine, call));
  router.json("GET", "/containers/:id/top", (call) =>
    containers.top(param(call, "id"), textOf(call.query, "ps_args") || "-ef"),
  );
  router.json("POST", "/containers/:id/start", (call) => start(engine, call));
  router.json("POST", "/containers/:id/stop", (call) =>
    containers.stop(param(call, "id"), stopOptions(call)),
  );
  router.json("POST", "/containers/:id/restart", (call) =>
    inStartWords(() => containers.restart(param(call, "id"), stopOptions(call))),
  );
  router.json("POST", "/containers/:id/kill", (call) =>
    containers.kill(param(call, "id"), textOf(call.query, "signal") || "SIGKILL"),
  );
  router.json("POST", "/containers/:id/pause", (call) => containers.pause(param(call, "id")));
  router.json("POST", "/containers/:id/unpause", (call) => containers.unpause(param(call, "id")));
  router.json("POST", "/containers/:id/rename", (call) => rename(engine, call));
  router.json("POST", "/containers/:id/update", (call) => update(engine, call));
  router.json("POST", "/containers/:id/resize", (call) => {
    const { rows, cols } = terminalSizeOf(call.query);
    containers.resize(param(call, "id"), rows, cols);
    return new Reply(200);
  });
  router.stream("POST", "/containers/:id/wait", async (call, response) => {
    const condition = waitCondition(textOf(call.query, "condition"));
    // Stands before the head goes out: `docker run` starts the container as soon as it has seen the head.
    const waiting = containers.wait(param(call, "id"), condition, call.signal);
    waiting.catch(() => undefined);
    response.setHeader("Content-Type", "application/json");
    response.flushHeaders();
    const { exitCode, error } = await waiting;
    response.end(
      `${JSON.stringify({ StatusCode: exitCode, ...(error === "" ? {} : { Error: { Message: error } }) })}\n`,
    );
  });
  router.json("DELETE", "/containers/:id", async (call) => {
    if (flagOf(call.query, "link"))
      throw new GantryError("unsupported", "links between containers are not supported");
    await containers.remove(param(call, "id"), {
      force: flagOf(call.query, "force"),
      volumes: flagOf(call.query, "v"),
    });
  });
}

async function list({ containers, images }: ApiEngine, { query }: Call): Promise<unknown> {
  const selection = {
    filters: parseFilters(query.get("filters"), containerFilters),
    all: flagOf(query, "all"),
    limit: Math.max(0, numberOf(query, "limit") ?? 0),
  };
  const chosen = selectContainers(containers.list(), selection, {
    container: (reference) => containers.view(reference),
    image: (reference) => images.tryFind(reference),
  });
  const now = Date.now();
  const rows = chosen.map((view) => wireSummary(view, now));
  if (!flagOf(query, "size")) return rows;
  const sizes = await Promise.all(chosen.map(({ record }) => sizesOf(containers, record.id)));
  return rows.map((row, i) => ({ ...row, ...sizes[i] }));
}

/** What it changed on its image, and both together. */
export async function sizesOf(
  containers: ApiEngine["containers"],
  id: string,
): Promise<{ readonly SizeRw: number; readonly SizeRootFs: number }> {
  const { writable, whole } = await containers.size(id);
  return { SizeRw: writable, SizeRootFs: whole };
}

async function create({ containers }: ApiEngine, call: Call): Promise<Reply> {
  const platform = textOf(call.query, "platform");
  const body = await readJson(call.request);
  const request = parseCreate(textOf(call.query, "name"), body, call.version);
  checkPlatform(platform);
  const { id, warnings } = await inStartWords(() => containers.create(request));
  return new Reply(201, { Id: id, Warnings: warnings });
}

/** @throws {GantryError} "not-found" for a platform that is not this machine's, worded for clients that would then pull */
export function checkPlatform(platform: string): void {
  if (platform === "") return;
  const [os, architecture] = platform.split("/");
  const own = process.arch === "x64" ? ["amd64", "x86_64"] : ["arm64", "aarch64"];
  if (os === "linux" && (architecture === undefined || own.includes(architecture))) return;
  throw new GantryError(
    "unsupported",
    `platform ${platform} is not supported: this machine is linux/${own[0] ?? ""}`,
  );
}

async function start({ containers }: ApiEngine, call: Call): Promise<void> {
  if (textOf(call.query, "checkpoint") !== "")
    throw new GantryError("unsupported", "checkpoints are not supported");
  await inStartWords(() => containers.start(param(call, "id")));
}

async function inspect({ containers }: ApiEngine, call: Call): Promise<unknown> {
  const view = containers.view(param(call, "id"));
  const answer = wireInspect(view);
  return flagOf(call.query, "size") ? { ...answer, ...(await sizesOf(containers, view.record.id)) } : answer;
}

/** `t=-1` waits for ever, as in dockerd. */
function stopOptions({ query }: Call): { timeoutSeconds?: number; signal?: string } {
  const timeoutSeconds = numberOf(query, "t");
  const signal = textOf(query, "signal");
  return {
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(signal === "" ? {} : { signal }),
  };
}

async function rename({ containers }: ApiEngine, call: Call): Promise<void> {
  const name = textOf(call.query, "name").replace(/^\//, "");
  if (name === "") throw new GantryError("invalid", "Neither old nor new names may be empty");
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new GantryError(
      "invalid",
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  await containers.rename(param(call, "id"), name);
}

async function update({ containers }: ApiEngine, call: Call): Promise<unknown> {
  const request = parseUpdate(await readJson(call.request), call.version);
  return { Warnings: await containers.update(param(call, "id"), request) };
}

function waitCondition(text: string): WaitCondition {
  if (text === "" || text === "not-running") return "not-running";
  if (text === "next-exit" || text === "removed") return text;
  throw new GantryError("invalid", `invalid condition: ${JSON.stringify(text)}`);
}

async function prune({ containers }: ApiEngine, { query }: Call): Promise<unknown> {
  const filters = parseFilters(query.get("filters"), pruneFilters);
  const { deleted, reclaimedBytes } = await containers.prune({
    untilMs: untilOf(filters, Date.now()),
    labels: filters.values("label"),
    notLabels: filters.values("label!"),
  });
  return { ContainersDeleted: deleted, SpaceReclaimed: reclaimedBytes };
}
