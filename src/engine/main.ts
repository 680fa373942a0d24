/** The engine's process: opens the engine, serves its API, says `ready`, ends on SIGTERM. Containers outlive it. */
import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  createLogger,
  GantryError,
  type LeveledLogger,
  type Logger,
  messageOf,
  toGantryError,
} from "../lib/index.ts";
import { createApi } from "./api/create-api.ts";
import type { Ending, EngineProcess } from "./api/routes-life.ts";
import { parseListenAddress } from "./api/listen-address.ts";
import { Listeners } from "./api/listeners.ts";
import { readTlsIdentity, type TlsIdentity } from "./api/tls-identity.ts";
import { Engine } from "./engine.ts";
import { type Handover, takeHandover } from "./handover.ts";
import { IdleTrim } from "./idle-trim.ts";
import { Reloader } from "./reload.ts";
import { HandedSockets, notifyManager } from "./service-manager.ts";
import type { EngineSettings } from "./settings/engine-settings.ts";
import { readFlags, type Words } from "./settings/read-flags.ts";
import { type ReadSettings, readSettings } from "./settings/read-settings.ts";
import { socketGroup } from "./socket-group.ts";
import { uninstallEngine, removeDirectories } from "./uninstall.ts";
import { checkProgram, engineProgram, installProgram, replaceProcess } from "./upgrade.ts";

/**
 * Runs `gantry engine` and returns its exit code: 0 after SIGTERM, 125 for bad flags, 1 for bad
 * settings in a file and when it cannot start.
 * @param help the text for --help
 */
export async function main(words: readonly string[], help: () => Promise<string>): Promise<number> {
  let flags: Words;
  try {
    flags = readFlags(words);
  } catch (error) {
    return refuse(error, 125);
  }
  if (flags.help) {
    process.stdout.write(await help());
    return 0;
  }
  let read: ReadSettings;
  try {
    read = readSettings(flags);
    if (flags.validate) return validate(read.settings);
  } catch (error) {
    // Without a file it is a flag that has a bad value.
    return refuse(error, flags.config === undefined && !flags.validate ? 125 : 1);
  }
  const logger = createLogger(read.settings.live.logLevel);
  try {
    return await serve(words, flags, read, logger);
  } catch (error) {
    const { message, hint, code } = toGantryError(error);
    logger.error("engine.failed", { message, code, hint });
    return 1;
  }
}

function refuse(error: unknown, exitCode: number): number {
  const { message, hint } = toGantryError(error);
  process.stderr.write(`gantry: ${message}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
  return exitCode;
}

/** What can be said of settings without doing anything, in dockerd's words. */
function validate({ tls, group }: EngineSettings): number {
  if (tls !== undefined) readTlsIdentity(tls);
  socketGroup(group);
  process.stderr.write("configuration OK\n");
  return 0;
}

async function serve(
  words: readonly string[],
  flags: Words,
  read: ReadSettings,
  logger: LeveledLogger,
): Promise<number> {
  if (process.getuid?.() !== 0)
    throw new GantryError("denied", "the engine must run as root", { hint: "run it with sudo" });
  process.umask(0o022);
  surviveBugs(logger);
  const handover = takeHandover();
  const { settings } = read;
  const ending = Promise.withResolvers<Ending>();
  const reloader = new Reloader({ flags, read, logger });
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => ending.resolve({ why: "signal" }));
  process.on("SIGHUP", () => reloader.wish());
  prepareDirectories(settings);
  const tls = settings.tls === undefined ? undefined : readTlsIdentity(settings.tls);
  const group = socketGroup(settings.group);
  const engine = await Engine.open({ ...settings, logger, inheritedLocks: handover?.locks ?? [] });
  const own = engineProcess({ engine, words, logger, end: (how) => ending.resolve(how) });
  process.on("SIGUSR2", () => void upgradeBySignal(own, logger));
  const idle = new IdleTrim(engine.sys);
  engine.events.subscribe(() => idle.touch());
  const sockets = new HandedSockets(engine.sys);
  const listeners = new Listeners({
    api: createApi(engine, { process: own }),
    logger,
    group,
    open: settings.open,
    onUse: () => idle.touch(),
  });
  let how: Ending | undefined;
  let next: Handover | undefined;
  try {
    await openAll(listeners, { settings, own: engine.paths.socket, tls, sockets });
    if (handover?.queue !== undefined) await listeners.openQueue(handover.queue, engine.paths.socket);
    logger.info("engine.ready", { pid: process.pid, root: settings.root, state: settings.state });
    process.stdout.write("ready\n");
    await notifyManager(logger, "READY=1");
    reloader.begin(engine, listeners);
    idle.touch();
    how = await ending.promise;
    logger.info("engine.stopping", { why: how.why });
    await notifyManager(logger, how.why === "upgrade" ? "RELOADING=1" : "STOPPING=1");
  } finally {
    idle.close();
    await reloader.end();
    if (how?.why === "upgrade") {
      const queue = await listeners.queueClients(engine.paths.socket);
      await listeners.close();
      next = { queue, locks: await engine.closeForNext() };
    } else {
      await listeners.close();
      await engine.close();
    }
  }
  if (how.why === "upgrade" && next !== undefined) {
    const { sys } = engine;
    return replaceProcess({
      sys,
      program: how.program,
      words,
      handover: next,
      handed: sockets.copies,
      logger,
    });
  }
  if (how.why === "uninstall") removeDirectories(engine.paths);
  return 0;
}

interface ProcessParts {
  readonly engine: Engine;
  readonly words: readonly string[];
  readonly logger: Logger;
  readonly end: (how: Ending) => void;
}

function engineProcess({ engine, words, logger, end }: ProcessParts): EngineProcess {
  return {
    uninstall: () => uninstallEngine(engine),
    prepareUpgrade: async (from) => {
      const program = engineProgram();
      const version = await checkProgram(from ?? program, words);
      if (from !== undefined) await installProgram(from, program);
      logger.info("engine.upgrading", { program, version });
      return { program, version };
    },
    end,
  };
}

async function upgradeBySignal({ prepareUpgrade, end }: EngineProcess, logger: Logger): Promise<void> {
  try {
    const { program } = await prepareUpgrade(undefined);
    end({ why: "upgrade", program });
  } catch (error) {
    logger.error("upgrade.refused", { message: messageOf(error) });
  }
}

interface Places {
  readonly settings: EngineSettings;
  /** The engine's own socket. */
  readonly own: string;
  readonly tls: TlsIdentity | undefined;
  readonly sockets: HandedSockets;
}

/** The addresses that were asked for, and the engine's own socket unless systemd holds it. */
async function openAll(
  listeners: Listeners,
  { settings: { hosts, live }, own, tls, sockets }: Places,
): Promise<void> {
  const paths: (string | undefined)[] = [];
  for (const address of hosts.map(parseListenAddress)) {
    if (address.is === "tcp") await listeners.openTcp(address.host, address.port, tls);
    else if (address.is === "unix") {
      await listeners.openUnix(address.path);
      paths.push(address.path);
    } else {
      for (const { fd, path } of sockets.choose(address.name)) {
        await listeners.openFd({ fd, isUnix: path !== undefined, inner: `${own}.${fd}` });
        paths.push(path);
      }
    }
  }
  if (!paths.includes(own)) await listeners.openUnix(own);
  await listeners.moveMetrics(live.metricsAddress);
}

/**
 * Others may pass through the state directory to the socket; the root directory is nobody's business.
 * @throws {GantryError} "denied" and the like, naming the directory
 */
function prepareDirectories({ root, state }: EngineSettings): void {
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
