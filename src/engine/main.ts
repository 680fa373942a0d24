/** The engine's process: opens the engine, serves its API, says `ready`, ends on SIGTERM. Containers outlive it. */
import { closeSync, mkdirSync, openSync, rmSync, statSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { withRegistryFlags } from "../distribution/index.ts";
import { createLogger, GantryError, isErrno, type Logger, messageOf, toGantryError } from "../lib/index.ts";
import { createApi } from "./api/create-api.ts";
import { isLoopback, listen, type ListenAddress, parseListenAddress } from "./api/listen.ts";
import { readEngineConfig } from "./engine-config.ts";
import { type EngineFlags, parseEngineFlags } from "./engine-flags.ts";
import { Engine } from "./engine.ts";
import { IdleTrim } from "./idle-trim.ts";
import { enginePaths } from "./paths.ts";
import { uninstallEngine, removeDirectories } from "./uninstall.ts";

/** Answers that were begun when the engine is told to end have this long. */
const answerDeadlineMs = 300;

interface Listening {
  readonly server: Server;
  readonly address: ListenAddress;
}

/**
 * Runs `gantry engine` and returns its exit code: 0 after SIGTERM, 125 for bad flags, 1 when it cannot start.
 * @param help the text for --help
 */
export async function main(words: readonly string[], help: () => Promise<string>): Promise<number> {
  let flags: EngineFlags;
  let extra: readonly ListenAddress[];
  try {
    flags = parseEngineFlags(words);
    extra = flags.hosts.map(parseListenAddress);
    enginePaths(flags.root, flags.state);
  } catch (error) {
    const { message, hint } = toGantryError(error);
    process.stderr.write(`gantry: ${message}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
    return 125;
  }
  if (flags.help) {
    process.stdout.write(await help());
    return 0;
  }
  const logger = createLogger(flags.debug ? "debug" : "info");
  try {
    return await serve(flags, extra, logger);
  } catch (error) {
    const { message, hint, code } = toGantryError(error);
    logger.error("engine.failed", { message, code, hint });
    return 1;
  }
}

async function serve(flags: EngineFlags, extra: readonly ListenAddress[], logger: Logger): Promise<number> {
  if (process.getuid?.() !== 0)
    throw new GantryError("denied", "the engine must run as root", { hint: "run it with sudo" });
  process.umask(0o022);
  surviveBugs(logger);
  const ended = untilSignal();
  prepareDirectories(flags);
  const engine = await Engine.open({
    root: flags.root,
    state: flags.state,
    logger,
    runtimes: flags.runtimes,
    snapshotter: flags.snapshotter,
    registries: withRegistryFlags(
      readEngineConfig(flags.config).registries,
      flags.mirrors,
      flags.insecureRegistries,
    ),
  });
  const uninstalled = Promise.withResolvers<string>();
  const uninstall = { run: () => uninstallEngine(engine), end: () => uninstalled.resolve("uninstall") };
  const createServer = createApi(engine, { debug: flags.debug, uninstall });
  const own: ListenAddress = { is: "unix", path: engine.paths.socket };
  const servers: Listening[] = [];
  const idle = new IdleTrim(engine.sys);
  engine.events.subscribe(() => idle.touch());
  let why: string;
  try {
    for (const address of [...extra, own]) {
      if (!isLoopback(address)) {
        logger.warn("engine.exposed", {
          message:
            "the API is reachable from other machines without any authentication: whoever reaches it is root here",
          ...address,
        });
      }
      const server = createServer();
      for (const event of ["request", "upgrade"]) server.on(event, () => idle.touch());
      await listen(server, address);
      servers.push({ server, address });
    }
    logger.info("engine.ready", { pid: process.pid, root: flags.root, state: flags.state });
    process.stdout.write("ready\n");
    idle.touch();
    why = await Promise.race([ended, uninstalled.promise]);
    logger.info("engine.stopping", { why });
  } finally {
    idle.close();
    await closeServers(servers);
    await engine.close();
  }
  if (why === "uninstall") removeDirectories(engine.paths);
  return 0;
}

/**
 * Others may pass through the state directory to the socket; the root directory is nobody's business.
 * @throws {GantryError} "denied" and the like, naming the directory
 */
function prepareDirectories({ root, state }: EngineFlags): void {
  makeDirectory(root, 0o710);
  makeDirectory(state, 0o711);
  // Environments of containers hold secrets. SQLite gives its other files the mode of this one.
  closeSync(openSync(join(root, "gantry.db"), "a", 0o600));
}

function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    throw toGantryError(error, `make the directory ${path}`);
  }
  if ((statSync(path).mode & 0o022) !== 0) {
    throw new GantryError("denied", `others may write to the directory ${path}`, {
      hint: `choose one of the engine's own, or: chmod go-w ${path}`,
    });
  }
}

function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => resolve(signal));
  });
}

/**
 * A bug in one request must not take the engine away from the others: their restart policies and joined streams live here.
 * It is told in the log.
 */
function surviveBugs(logger: Logger): void {
  const tell = (thrown: unknown): void =>
    logger.error("engine.bug", {
      message: messageOf(thrown),
      stack: thrown instanceof Error ? thrown.stack : undefined,
    });
  process.on("uncaughtException", tell);
  process.on("unhandledRejection", tell);
}

/** Takes the sockets away and lets short answers end; joined streams are cut, their containers go on. */
async function closeServers(servers: readonly Listening[]): Promise<void> {
  const closed = servers.map(({ server, address }) => {
    if (address.is === "unix") removeSocket(address.path);
    return new Promise<void>((resolve) => void server.close(() => resolve()));
  });
  for (const { server } of servers) server.closeIdleConnections();
  await Promise.race([Promise.all(closed), Bun.sleep(answerDeadlineMs)]);
  for (const { server } of servers) server.closeAllConnections();
}

function removeSocket(path: string): void {
  try {
    rmSync(path);
  } catch (error) {
    // ENOENT: somebody has removed it already.
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
