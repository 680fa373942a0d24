/**
 * Puts events into the queues of the webhooks that hear them and delivers: one worker a webhook, awake only while something
 * is due, so that a slow receiver holds up nobody else.
 */
import { type Logger, messageOf } from "../../lib/index.ts";
import type { Sql } from "../sql.ts";
import type { Journal, RegistryEvent } from "../types.ts";
import { type EventSource, envelopeOf } from "./envelope.ts";
import { type DeliveryQueue, maxWaiting } from "./queue.ts";
import type { Sender } from "./send.ts";
import { hears, type Webhook, type Webhooks } from "./webhooks.ts";

export interface NotifierOptions {
  /** Other instances work on the same queues: what one that died has left is looked for now and then. */
  readonly shared?: boolean;
  readonly webhooks: Webhooks;
  readonly queue: DeliveryQueue;
  readonly sender: Sender;
  readonly source: EventSource;
  readonly logger: Logger;
  readonly now?: () => number;
}

/** Events that are on their way into the database: beyond this they are dropped and told. */
const maxPending = 5000;
/** A lease that nobody gave back, and endpoints that another process has added, are seen this late at the latest. */
const longestNapMs = 60_000;

/** What has become of an event for one webhook. */
interface Kept {
  readonly webhook: string;
  readonly added: boolean;
}

interface Worker {
  running: boolean;
  timer: NodeJS.Timeout | undefined;
}

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #now: () => number;
  readonly #workers = new Map<string, Worker>();
  readonly #pending = new Set<Promise<void>>();
  readonly #deliveries = new Set<Promise<void>>();
  /** Events that are in the database already. */
  readonly #kept = new WeakMap<RegistryEvent, readonly Kept[]>();
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;
  #dropped = 0;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Goes on with what an earlier process has left. */
  async start(): Promise<void> {
    // Nobody else delivers from this database: what is taken was taken by a process that is gone.
    if (this.#options.shared !== true) await this.#options.queue.hurry();
    await this.#wakeAll();
    if (this.#options.shared !== true) return;
    this.#sweep = setInterval(() => void this.#wakeAll(), longestNapMs);
    this.#sweep.unref();
  }

  async #wakeAll(): Promise<void> {
    try {
      for (const webhook of await this.#options.webhooks.list()) this.#wake(webhook.name);
    } catch (error) {
      this.#options.logger.error("webhook.failed", { message: messageOf(error) });
    }
  }

  /** Manifests and tags: queued in the transaction that records them. `listen` then only begins to deliver. */
  readonly journal: Journal = {
    open: async (action, repository) => {
      const hearing = (await this.#options.webhooks.current()).filter((one) =>
        hears(one, action, repository),
      );
      if (hearing.length === 0) return undefined;
      const room: Kept[] = [];
      for (const { name } of hearing)
        room.push({ webhook: name, added: !(await this.#options.queue.isFull(name)) });
      return (tx, event) => this.#keep(tx, event, room);
    },
  };

  async #keep(tx: Sql, event: RegistryEvent, room: readonly Kept[]): Promise<void> {
    const body = envelopeOf(event, this.#options.source);
    for (const { webhook, added } of room) if (added) await this.#options.queue.insert(tx, webhook, body);
    this.#kept.set(event, room);
  }

  /** Events that no queue had room for. */
  get dropped(): number {
    return this.#dropped;
  }

  readonly listen = (event: RegistryEvent): void => {
    const kept = this.#kept.get(event);
    if (kept !== undefined) {
      for (const { webhook, added } of kept) {
        if (added) this.#wake(webhook);
        else this.#drop(webhook);
      }
      return;
    }
    if (this.#pending.size >= maxPending) {
      this.#drop("all");
      return;
    }
    const work = this.#enqueue(event).catch((error: unknown) =>
      this.#options.logger.error("webhook.not-queued", { message: messageOf(error), event: event.id }),
    );
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
  };

  async #enqueue(event: RegistryEvent): Promise<void> {
    const { webhooks, queue, source } = this.#options;
    const hearing = (await webhooks.current()).filter((webhook) =>
      hears(webhook, event.action, event.target.repository),
    );
    if (hearing.length === 0) return;
    const body = envelopeOf(event, source);
    for (const { name } of hearing) {
      if (await queue.add(name, body)) this.#wake(name);
      else this.#drop(name);
    }
  }

  #drop(webhook: string): void {
    if (this.#dropped++ % 1000 === 0)
      this.#options.logger.warn("webhook.dropped", { webhook, waiting: maxWaiting, dropped: this.#dropped });
  }

  #wake(name: string): void {
    const worker = this.#workers.get(name) ?? { running: false, timer: undefined };
    this.#workers.set(name, worker);
    if (worker.running || this.#closed) return;
    clearTimeout(worker.timer);
    worker.running = true;
    const work = this.#work(name, worker)
      .catch((error: unknown) => {
        this.#options.logger.error("webhook.failed", { webhook: name, message: messageOf(error) });
        this.#nap(name, worker, longestNapMs);
      })
      .finally(() => this.#deliveries.delete(work));
    this.#deliveries.add(work);
  }

  async #work(name: string, worker: Worker): Promise<void> {
    const { webhooks, queue } = this.#options;
    try {
      for (;;) {
        if (this.#closed) return;
        const webhook = (await webhooks.current()).find((one) => one.name === name);
        if (webhook === undefined || webhook.disabled) return;
        const worked = await this.#deliverOne(webhook);
        if (worked) continue;
        const next = await queue.nextMs(name);
        if (next === undefined) return;
        if (next > this.#now()) {
          this.#nap(name, worker, next - this.#now());
          return;
        }
      }
    } finally {
      worker.running = false;
    }
  }

  #nap(name: string, worker: Worker, ms: number): void {
    if (this.#closed) return;
    worker.timer = setTimeout(() => this.#wake(name), Math.min(ms, longestNapMs));
    worker.timer.unref();
  }

  async #deliverOne(webhook: Webhook): Promise<boolean> {
    const { queue, sender, logger } = this.#options;
    const delivery = await queue.take(webhook.name);
    if (delivery === undefined) return false;
    const { ok, result } = await sender.send(webhook, delivery.id, delivery.body);
    if (ok) await queue.done(delivery, result);
    else {
      const end = await queue.failed(delivery, result);
      const fields = { webhook: webhook.name, attempt: delivery.attempts, result };
      if (end === "dead") logger.error("webhook.dead", fields);
      else logger.warn("webhook.retry", fields);
    }
    return true;
  }

  /** Puts what is pending into the database; what is being delivered may end. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const worker of this.#workers.values()) clearTimeout(worker.timer);
    await Promise.all(this.#pending);
    await Promise.race([Promise.all(this.#deliveries), Bun.sleep(2000)]);
  }
}
