/**
 * Gives back the space of what nobody needs any more, while the registry is in use: after deletions, after a start, and when
 * something will have expired. One instance collects at a time.
 */
import { type Digest, type Logger, messageOf } from "../lib/index.ts";
import type { BlobStore } from "./blob-store.ts";
import { CollectorRecords } from "./collector-records.ts";
import { Lease, leaseTables } from "./lease.ts";
import type { Metadata } from "./metadata.ts";
import { migrate } from "./migrate.ts";
import { upstreamTables } from "./upstream-records.ts";

export interface CollectorOptions {
  readonly metadata: Metadata;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  /** What was uploaded, mounted or asked for within this time is left alone. Default: an hour. */
  readonly graceMs?: number;
  /** An upload that nobody has gone on with for so long is given up. Default: a day. */
  readonly uploadAgeMs?: number;
  /** Told of each run that was no dry one; undefined: it has failed. */
  readonly onRun?: ((report: CollectReport | undefined, ms: number) => void) | undefined;
  /** Asked first: cached content that has expired. */
  readonly expire?: () => Promise<unknown>;
}

export interface CollectReport {
  /** Another instance collects: nothing was done. */
  readonly busy: boolean;
  readonly links: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly uploads: number;
  /** Bytes in the store that no record knew of. */
  readonly orphans: number;
  readonly repositories: number;
  /** Blobs that are needed and have no bytes. */
  readonly missing: readonly Digest[];
}

export interface CollectRun {
  readonly dryRun?: boolean;
  /** Compare what is stored with what is recorded, too: reads all names. */
  readonly deep?: boolean;
}

const nothing: CollectReport = {
  busy: false,
  links: 0,
  blobs: 0,
  bytes: 0,
  uploads: 0,
  orphans: 0,
  repositories: 0,
  missing: [],
};

const debounceMs = 500;
/** The collector works at most this part of the time. */
const restFactor = 10;
const deepEveryMs = 24 * 3_600_000;
const atOnce = 50;

type Counts = { -readonly [K in keyof CollectReport]: CollectReport[K] };

export class Collector {
  readonly #options: CollectorOptions;
  readonly #records: CollectorRecords;
  readonly #lease: Lease;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #running: Promise<unknown> = Promise.resolve();
  #restUntilMs = 0;
  #deepMs = 0;
  #isClosed = false;

  private constructor(options: CollectorOptions) {
    this.#options = options;
    this.#records = new CollectorRecords(options.metadata.sql);
    this.#lease = new Lease(options.metadata.sql, "collector");
  }

  static async open(options: CollectorOptions): Promise<Collector> {
    const { sql } = options.metadata;
    await migrate(sql, "lease", leaseTables);
    await migrate(sql, "upstream", upstreamTables(sql));
    return new Collector(options);
  }

  /** Something was deleted: collects soon, and again when the grace of what it leaves alone has passed. */
  poke(): void {
    this.#schedule(debounceMs);
  }

  /** Begins to collect by itself. */
  start(): void {
    this.#schedule(this.#grace);
  }

  /** Waits for what runs and for one's turn, then collects. */
  async run(run: CollectRun = {}): Promise<CollectReport> {
    const work = this.#running.then(
      async () => this.#measured(run),
      async () => this.#measured(run),
    );
    this.#running = work;
    return work;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running.catch(() => undefined);
  }

  get #grace(): number {
    return this.#options.graceMs ?? 3_600_000;
  }

  #schedule(delayMs: number): void {
    const due = Math.max(Date.now() + delayMs, this.#restUntilMs);
    if (this.#isClosed || due >= this.#dueMs) return;
    this.#dueMs = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      void this.#scheduledRun();
    }, due - Date.now());
    this.#timer.unref();
  }

  async #scheduledRun(): Promise<void> {
    const started = Date.now();
    const deep = started - this.#deepMs > deepEveryMs;
    try {
      const report = await this.run({ deep });
      if (deep && !report.busy) this.#deepMs = started;
    } catch (error) {
      this.#options.logger.error("collector.failed", { error: messageOf(error) });
    }
    const ended = Date.now();
    this.#restUntilMs = ended + (ended - started) * restFactor;
    this.#schedule(this.#grace + debounceMs);
  }

  async #measured(run: CollectRun): Promise<CollectReport> {
    const started = performance.now();
    let report: CollectReport | undefined;
    try {
      report = await this.#collect(run);
      return report;
    } finally {
      if (run.dryRun !== true) this.#options.onRun?.(report, performance.now() - started);
    }
  }

  async #collect({ dryRun = false, deep = false }: CollectRun): Promise<CollectReport> {
    if (!dryRun && !(await this.#lease.take())) return { ...nothing, busy: true };
    const counts: Counts = { ...nothing };
    try {
      if (!dryRun) await this.#options.expire?.();
      await this.#collectUploads(counts, dryRun);
      const before = Date.now() - this.#grace;
      for await (const links of this.#records.unlinkUnreferenced(before, dryRun)) {
        counts.links += links;
        await this.#breathe(dryRun);
      }
      await this.#collectBlobs(counts, before, dryRun);
      if (deep) await this.#compare(counts, before, dryRun);
      if (!dryRun) counts.repositories = await this.#records.removeEmptied(before);
    } finally {
      if (!dryRun) await this.#lease.release();
    }
    const { missing, busy: _, ...facts } = counts;
    const isIdle = Object.values(facts).every((fact) => fact === 0) && missing.length === 0;
    if (!isIdle && !dryRun)
      this.#options.logger.info("collector.done", { ...facts, missing: missing.length });
    return counts;
  }

  /** Lets requests go first, and keeps the lease. */
  async #breathe(dryRun: boolean): Promise<void> {
    await Bun.sleep(0);
    if (!dryRun && !(await this.#lease.take())) throw new Error("the lease was lost to another instance");
  }

  async #collectUploads(counts: Counts, dryRun: boolean): Promise<void> {
    const before = Date.now() - (this.#options.uploadAgeMs ?? 86_400_000);
    if (dryRun) {
      counts.uploads = await this.#records.countExpiredUploads(before);
      return;
    }
    let page = await this.#records.expiredUploads(before);
    while (page.length > 0) {
      for (const id of page) {
        if (!(await this.#records.forgetUpload(id, before))) continue;
        await this.#options.blobs.cancel(id);
        counts.uploads += 1;
      }
      await this.#breathe(dryRun);
      page = await this.#records.expiredUploads(before);
    }
  }

  async #collectBlobs(counts: Counts, before: number, dryRun: boolean): Promise<void> {
    const { blobs } = this.#options;
    for (let after = ""; ;) {
      const page = await this.#records.unusedBlobs(before, after);
      for (const { digest, size } of page) {
        after = digest;
        const remove = (): Promise<void> => blobs.remove(digest);
        if (!dryRun && !(await this.#records.removeBlob(digest, before, remove))) continue;
        counts.blobs += 1;
        if (counts.blobs % atOnce === 0) await this.#breathe(dryRun);
        // Claimed, but nothing came.
        counts.bytes += Math.max(0, size);
      }
      if (page.length === 0) return;
      await this.#breathe(dryRun);
    }
  }

  /** What the store has against what is recorded. */
  async #compare(counts: Counts, before: number, dryRun: boolean): Promise<void> {
    const { blobs } = this.#options;
    const uploadsBefore = Date.now() - (this.#options.uploadAgeMs ?? 86_400_000);
    for await (const { id, modifiedMs } of blobs.uploads()) {
      if (modifiedMs >= uploadsBefore || (await this.#records.hasUpload(id))) continue;
      if (!dryRun) await blobs.cancel(id);
      counts.uploads += 1;
    }
    let some: { readonly digest: Digest; readonly size: number }[] = [];
    for await (const blob of blobs.blobs()) {
      if (blob.modifiedMs < before) some.push(blob);
      if (some.length < atOnce) continue;
      await this.#removeOrphans(some, counts, dryRun);
      some = [];
    }
    await this.#removeOrphans(some, counts, dryRun);
    if (!dryRun) counts.orphans += (await blobs.sweep?.(Math.min(before, uploadsBefore))) ?? 0;
    await this.#findMissing(counts);
  }

  async #removeOrphans(
    stored: readonly { readonly digest: Digest; readonly size: number }[],
    counts: Counts,
    dryRun: boolean,
  ): Promise<void> {
    if (stored.length === 0) return;
    const recorded = await this.#records.recorded(stored.map(({ digest }) => digest));
    for (const { digest, size } of stored) {
      if (recorded.has(digest)) continue;
      const remove = (): Promise<void> => this.#options.blobs.remove(digest);
      if (dryRun || (await this.#records.removeUnrecorded(digest, remove))) counts.orphans += size;
    }
    await this.#breathe(dryRun);
  }

  async #findMissing(counts: Counts): Promise<void> {
    const missing: Digest[] = [];
    for (let after = ""; ;) {
      const page = await this.#records.blobs(after, atOnce);
      if (page.length === 0) break;
      const sizes = await Promise.all(page.map(async ({ digest }) => this.#options.blobs.size(digest)));
      for (const [i, { digest, size }] of page.entries()) {
        after = digest;
        if (sizes[i] === size || size < 0) continue;
        const repositories = (await this.#records.repositoriesOf(digest)).join(" ");
        this.#options.logger.error("blob.missing", { digest, size, stored: sizes[i], repositories });
        missing.push(digest);
      }
    }
    counts.missing = missing;
  }
}
