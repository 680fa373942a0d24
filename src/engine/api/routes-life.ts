/** /gantry/uninstall, /gantry/shutdown, /gantry/upgrade: what ends the engine, or puts another program in its place. */
import type { ServerResponse } from "node:http";
import { GantryError } from "../../lib/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { Fields } from "./json-fields.ts";
import { readJson } from "./read-body.ts";
import type { Router } from "./router.ts";

/** Why an engine's process ends. */
export type Ending =
  | { readonly why: "signal" | "uninstall" | "shutdown" }
  | { readonly why: "upgrade"; readonly program: string };

/** The process around an engine. */
export interface EngineProcess {
  /** Removes all that the engine made but its directories. */
  readonly uninstall: () => Promise<void>;
  /**
   * Judges another program, or the engine's own file when none is named, and installs it there.
   * @returns the engine's file and the version that it has now
   */
  readonly prepareUpgrade: (
    from: string | undefined,
  ) => Promise<{ readonly program: string; readonly version: string }>;
  /** To be called when the last answer is on its way. */
  readonly end: (ending: Ending) => void;
}

const flushMs = 20;
const longestTimeoutSeconds = 86_400;

export function addLifeRoutes(router: Router, engine: ApiEngine, process: EngineProcess | undefined): void {
  const needed = (what: string): EngineProcess => {
    if (process === undefined) throw new GantryError("unsupported", `this engine cannot ${what} itself`);
    return process;
  };
  router.stream("POST", "/gantry/uninstall", async (_, response) => {
    const { uninstall, end } = needed("uninstall");
    await uninstall();
    const { root, state } = engine.paths;
    answer(response, { Root: root, State: state }, () => end({ why: "uninstall" }));
  });
  router.stream("POST", "/gantry/shutdown", async (call, response) => {
    const { end } = needed("shut down");
    const { stopped, left } = await engine.shutDown(timeoutMs(call.query.get("t")));
    answer(response, { Stopped: stopped, Left: left }, () => end({ why: "shutdown" }));
  });
  router.stream("POST", "/gantry/upgrade", async (call, response) => {
    const { prepareUpgrade, end } = needed("upgrade");
    const fields = new Fields((await readJson(call.request)) ?? {}, "");
    const from = fields.string("From") || undefined;
    fields.refuseOthers();
    if (from?.startsWith("/") === false)
      throw new GantryError("invalid", `the path of the new program must be absolute: ${from.slice(0, 200)}`);
    const { program, version } = await prepareUpgrade(from);
    answer(response, { Program: program, Version: version }, () => end({ why: "upgrade", program }));
  });
}

/** @returns undefined when it is left to the settings */
function timeoutMs(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  const seconds = /^-?\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds >= -1 && seconds <= longestTimeoutSeconds) return seconds * 1000;
  throw new GantryError("invalid", `invalid value of t: ${text.slice(0, 40)}`, {
    hint: "seconds, or -1 to wait as long as it takes",
  });
}

function answer(response: ServerResponse, body: object, then: () => void): void {
  // Bun says "close" before the last bytes have left (1.4.5).
  response.on("close", () => void setTimeout(then, flushMs));
  response.setHeader("Content-Type", "application/json");
  response.setHeader("Connection", "close");
  response.end(`${JSON.stringify({ Pid: process.pid, ...body })}\n`);
}
