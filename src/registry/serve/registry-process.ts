/** A registry that runs: its parts opened in order, wired together, and closed the other way round. */
import { hostname } from "node:os";
import { join } from "node:path";
import { type Logger, messageOf } from "../../lib/index.ts";
import { Accounts } from "../access/accounts.ts";
import type { BlobStore } from "../blob-store.ts";
import type { Collector } from "../collector.ts";
import { type CommandSettings, type Resolved, resolveSettings } from "../config/resolved.ts";
import { isLoopbackHost, parseAddress, parsePeriod, parseSize, printAddress } from "../config/values.ts";
import { ImmutableTagGuard } from "../guards/immutable-tags.ts";
import { QuotaGuard } from "../guards/quotas.ts";
import { RateLimitGuard, type RateLimits } from "../guards/rate-limits.ts";
import { readOnlyGuard } from "../guards/read-only.ts";
import { parseRate } from "../guards/token-bucket.ts";
import { Metadata } from "../metadata.ts";
import { AuditLog } from "../observe/audit-log.ts";
import { RequestMetrics } from "../observe/metrics.ts";
import { Monitor } from "../observe/monitor.ts";
import { CollectorMetrics } from "../observe/upkeep.ts";
import { applyRetention, decideRetention } from "../retention/run.ts";
import { RegistryServer } from "../server.ts";
import { Settings } from "../settings.ts";
import { Notifier } from "../webhooks/notifier.ts";
import { DeliveryQueue } from "../webhooks/queue.ts";
import { httpSender } from "../webhooks/send.ts";
import { upstreamGuard } from "../upstream-guard.ts";
import type { UpstreamCache } from "../upstream-cache.ts";
import { Webhooks } from "../webhooks/webhooks.ts";
import { openCertificates } from "./certificate-source.ts";
import { checkExposure } from "./exposure.ts";
import { Listener } from "./listener.ts";
import { accountsDecide, makeAccess } from "./make-access.ts";
import { Peers } from "./peers.ts";
import { Schedule } from "./schedule.ts";
import { openControl } from "./control.ts";
import { openUpstreams } from "./upstreams.ts";
import { openBlobs, openCollector, openSql } from "./stores.ts";
import { printWelcome } from "./welcome.ts";

const limitsOf = (settings: Resolved): RateLimits => ({
  pull: parseRate(settings.text("rate-pull")),
  push: parseRate(settings.text("rate-push")),
  login: parseRate(settings.text("rate-login")),
});

export class RegistryProcess implements AsyncDisposable {
  readonly #command: CommandSettings;
  readonly #logger: Logger;
  readonly #settings: Resolved;
  readonly #parts = new AsyncDisposableStack();
  readonly #limits: RateLimitGuard;
  readonly #collected = new CollectorMetrics();
  #reloadCertificate: () => void = () => undefined;
  /** What clients reach: `http://127.0.0.1:5000`. */
  address = "";
  /** For whoever has started it. */
  welcome = "";

  private constructor(command: CommandSettings, settings: Resolved, logger: Logger) {
    this.#command = command;
    this.#settings = settings;
    this.#logger = logger;
    this.#limits = new RateLimitGuard(limitsOf(settings));
  }

  /** @throws {GantryError} when it cannot be served so; nothing is left open then */
  static async open(command: CommandSettings, settings: Resolved, logger: Logger): Promise<RegistryProcess> {
    const registry = new RegistryProcess(command, settings, logger);
    try {
      await registry.#open();
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const settings = this.#settings;
    const logger = this.#logger;
    const parts = this.#parts;
    const address = parseAddress(settings.text("addr"));
    const sql = await openSql(settings);
    parts.defer(() => sql.close());
    const accounts = await accountsDecide(sql, settings);
    const tls = settings.optional("tls-cert") !== undefined || settings.list("acme-name").length > 0;
    checkExposure({
      host: address.host,
      tls,
      insecureHttp: settings.bool("insecure-http"),
      accounts,
      anonymousPush: settings.bool("anonymous-push"),
    });
    const metadata = await Metadata.open(sql);
    const audit = new AuditLog(
      join(settings.text("root"), "audit.log"),
      settings.bool("audit-pulls"),
      (reason) => logger.error("audit.lost", { message: reason }),
    );
    parts.defer(() => audit.close());
    const peers = new Peers(settings.list("trusted-proxy"));
    const notifier = await this.#openNotifier(sql, tls, printAddress(address));
    const blobs = await openBlobs(settings);
    const upstreams = openUpstreams({ settings, metadata, blobs, logger });
    const collector = await this.#openCollector(metadata, blobs, upstreams);
    const server = await RegistryServer.open({
      sql,
      blobs,
      ...(accounts
        ? { access: await makeAccess({ sql, settings, audit, peers, limits: this.#limits }) }
        : {}),
      guards: [
        this.#limits,
        readOnlyGuard(new Settings(sql)),
        new ImmutableTagGuard(sql),
        new QuotaGuard(sql),
        upstreamGuard(upstreams),
      ],
      listeners: [
        audit.listen,
        notifier.listen,
        (event) => (event.action === "delete" ? collector.poke() : undefined),
      ],
      journal: notifier.journal,
      upstreams,
      logger,
      limits: {
        maxManifestBytes: parseSize(settings.text("max-manifest")),
        uploadTtlMs: parsePeriod(settings.text("upload-age")),
        // Much oftener than the collector's grace.
        touchMs: Math.min(60_000, parsePeriod(settings.text("gc-grace")) / 8),
      },
      allowSparse: settings.bool("sparse"),
    });
    const requests = new RequestMetrics();
    const monitor = new Monitor({ sql, requests, notifier, more: () => this.#collected.print() });
    this.#openMonitor(monitor);
    this.#openSchedule(metadata, collector);
    const connections = { requestIP: (request: Request) => ({ address: peers.addressOf(request) }) };
    await this.#listen(tls, async (request, bun) => {
      peers.note(request, bun.requestIP(request)?.address ?? "");
      return requests.measure(
        request,
        async () => (await healthOf(monitor, request)) ?? server.fetch(request, connections),
      );
    });
    parts.defer(() => monitor.end());
    this.welcome = printWelcome({
      address: this.address,
      externalUrl: settings.text("external-url"),
      root: settings.text("root"),
      place: this.#place(),
      accounts: accounts ? await new Accounts(sql).count() : undefined,
      loopback: isLoopbackHost(address.host),
      readOnly: (await new Settings(sql).readOnly())?.reason,
      upstreams: settings.list("upstream"),
    });
    if (!accounts)
      logger.warn("registry.open", {
        message: "nobody is asked who they are: everybody may pull, push and delete",
      });
  }

  /** How commands find these records. The database's address may have a password in it. */
  #place(): string {
    if (this.#command.config !== undefined) return ` --config ${this.#command.config}`;
    const database = this.#settings.optional("database") === undefined ? "" : " --database URL";
    const root = this.#settings.isPreset("root") ? "" : ` --root ${this.#settings.text("root")}`;
    return root + database;
  }

  async #openNotifier(sql: Metadata["sql"], tls: boolean, address: string): Promise<Notifier> {
    const external = this.#settings.text("external-url").replace(/\/$/, "");
    const notifier = new Notifier({
      webhooks: new Webhooks(sql),
      queue: new DeliveryQueue(sql),
      sender: httpSender(),
      shared: sql.dialect === "postgres",
      source: {
        origin: external === "" ? `${tls ? "https" : "http"}://${address}` : external,
        address,
        instance: hostname(),
      },
      logger: this.#logger,
    });
    this.#parts.defer(() => notifier.close());
    await notifier.start();
    return notifier;
  }

  async #openCollector(
    metadata: Metadata,
    blobs: BlobStore,
    upstreams: readonly UpstreamCache[],
  ): Promise<Collector> {
    const expire = async (): Promise<void> => {
      for (const upstream of upstreams) await upstream.expire();
    };
    const collector = await openCollector({
      settings: this.#settings,
      metadata,
      blobs,
      logger: this.#logger,
      expire,
      onRun: this.#collected.note,
    });
    this.#parts.defer(() => collector.close());
    const control = openControl(this.#settings.text("root"), {
      collect: (parameters) =>
        collector.run({ dryRun: isOn(parameters, "dryRun"), deep: isOn(parameters, "deep") }),
    });
    this.#parts.defer(control);
    collector.start();
    return collector;
  }

  #openMonitor(monitor: Monitor): void {
    const address = this.#settings.optional("metrics-addr");
    if (address === undefined) return;
    const listener = new Listener(parseAddress(address), monitor.fetch, undefined);
    this.#parts.defer(() => listener.close(1000));
  }

  #openSchedule(metadata: Metadata, collector: Collector): void {
    const schedule = new Schedule({
      name: "retention",
      cron: this.#settings.text("retention-schedule"),
      sql: metadata.sql,
      logger: this.#logger,
      work: async () => {
        const now = Date.now();
        const decisions = await decideRetention(metadata.sql, now);
        await applyRetention(metadata, decisions, now);
        collector.poke();
        const deleted = decisions.filter(({ action }) => action === "delete").length;
        this.#logger.info("retention.done", { deleted, kept: decisions.length - deleted });
      },
    });
    this.#parts.defer(() => schedule.close());
  }

  async #listen(tls: boolean, fetch: ConstructorParameters<typeof Listener>[1]): Promise<void> {
    const settings = this.#settings;
    const address = parseAddress(settings.text("addr"));
    let listener: Listener | undefined;
    const certificates = await openCertificates(settings, this.#logger, (certificate) => {
      listener?.replace(certificate);
      this.#logger.info("tls.certificate", { until: new Date(certificate.untilMs).toISOString() });
    });
    if (certificates !== undefined) {
      this.#parts.defer(() => certificates.close());
      this.#reloadCertificate = certificates.reload;
    }
    const listening = new Listener(address, fetch, certificates?.first);
    listener = listening;
    this.#parts.defer(() => listening.close(parsePeriod(settings.text("grace"))));
    this.address = `${tls ? "https" : "http"}://${printAddress({ host: address.host, port: listening.port })}`;
  }

  /** SIGHUP: the certificate, and what of the configuration may change while it runs. */
  reload(): void {
    this.#reloadCertificate();
    try {
      this.#limits.set(limitsOf(resolveSettings(this.#command)));
      this.#logger.info("registry.reloaded");
    } catch (error) {
      this.#logger.error("registry.not-reloaded", { message: messageOf(error) });
    }
  }

  /** Takes no more requests, lets those that run end within the bound, closes all. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

const isOn = (parameters: URLSearchParams, name: string): boolean => parameters.get(name) === "true";

async function healthOf(monitor: Monitor, request: Request): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  return pathname.startsWith("/v2/") ? undefined : monitor.health(pathname);
}
