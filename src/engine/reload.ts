/** SIGHUP: flags and file are read again. What can change does; a mistake in the file changes nothing. */
import { type LeveledLogger, messageOf, toGantryError } from "../lib/index.ts";
import type { Listeners } from "./api/listeners.ts";
import { readTlsIdentity } from "./api/tls-identity.ts";
import type { Engine } from "./engine.ts";
import { notifyManager } from "./service-manager.ts";
import type { Words } from "./settings/read-flags.ts";
import { type ReadSettings, readSettings, restartKeys } from "./settings/read-settings.ts";

export interface ReloaderOptions {
  readonly flags: Words;
  /** What the engine was started with. */
  readonly read: ReadSettings;
  readonly logger: LeveledLogger;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  #target: { readonly engine: Engine; readonly listeners: Listeners } | undefined;
  #wished = false;
  #turn: Promise<void> | undefined;

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  /** The engine serves: what was wished for before happens now. */
  begin(engine: Engine, listeners: Listeners): void {
    this.#target = { engine, listeners };
    this.#next();
  }

  /** As often as one likes: a wish during a reload leads to one more. */
  wish(): void {
    this.#wished = true;
    this.#next();
  }

  /** Waits for what is being done; nothing follows. */
  async end(): Promise<void> {
    this.#target = undefined;
    await this.#turn;
  }

  #next(): void {
    if (!this.#wished || this.#target === undefined || this.#turn !== undefined) return;
    this.#wished = false;
    const { engine, listeners } = this.#target;
    this.#turn = this.#reload(engine, listeners).finally(() => {
      this.#turn = undefined;
      this.#next();
    });
  }

  async #reload(engine: Engine, listeners: Listeners): Promise<void> {
    const { flags, read, logger } = this.#options;
    await notifyManager(logger, "RELOADING=1");
    try {
      const next = readSettings(flags);
      // Certificates are read from where they were at the start: other places are for the next start.
      const { tls } = read.settings;
      const identity = tls === undefined ? undefined : readTlsIdentity(tls);
      await listeners.moveMetrics(next.settings.live.metricsAddress);
      if (identity !== undefined) await listeners.replaceTls(identity);
      logger.level = next.settings.live.logLevel;
      engine.reload(next.settings.live);
      const later = restartKeys(read.given, next.given);
      if (later.length > 0)
        logger.warn("config.needs-restart", {
          settings: later.join(", "),
          message: "these change at the engine's next start",
        });
      logger.info("config.reloaded");
    } catch (error) {
      const { message, hint } = toGantryError(error);
      logger.error("config.refused", {
        message: `nothing has changed: ${message || messageOf(error)}`,
        hint,
      });
    }
    await notifyManager(logger, "READY=1");
  }
}
