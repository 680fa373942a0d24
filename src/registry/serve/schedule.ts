/** Does something at the times of a cron expression, in one of all instances. */
import { type Logger, messageOf } from "../../lib/index.ts";
import { Lease } from "../lease.ts";
import type { Sql } from "../sql.ts";

/** setTimeout counts no further. */
const longestNapMs = 24 * 3600_000;

export interface ScheduleOptions {
  readonly name: string;
  /** Empty: never. */
  readonly cron: string;
  readonly sql: Sql;
  readonly logger: Logger;
  readonly work: () => Promise<void>;
}

export class Schedule {
  readonly #options: ScheduleOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#plan(nextMs(options.cron, Date.now()));
  }

  #plan(dueMs: number | undefined): void {
    if (dueMs === undefined || this.#closed) return;
    const waitMs = Math.max(0, dueMs - Date.now());
    this.#timer = setTimeout(
      () => {
        if (Date.now() < dueMs) this.#plan(dueMs);
        else this.#running = this.#run();
      },
      Math.min(waitMs, longestNapMs),
    );
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    const { name, sql, logger, work, cron } = this.#options;
    try {
      const lease = new Lease(sql, `schedule ${name}`);
      // Held until it is over by itself: another instance's clock may be a little behind.
      if (await lease.take()) await work();
    } catch (error) {
      logger.error("schedule.failed", { name, message: messageOf(error) });
    }
    this.#plan(nextMs(cron, Date.now()));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}

function nextMs(cron: string, fromMs: number): number | undefined {
  return cron === "" ? undefined : (Bun.cron.parse(cron, new Date(fromMs))?.getTime() ?? undefined);
}
