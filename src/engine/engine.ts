/** The engine: one process that holds a root directory, opens the rooms, and finds its containers again. A library; api/ is its HTTP face. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Builder } from "../build/index.ts";
import { Registries } from "../distribution/index.ts";
import { ImageStore, type SnapshotterWish, Trees } from "../image/index.ts";
import { detectCgroups, loadSys, type Sys } from "../kernel/index.ts";
import { Database, type Logger } from "../lib/index.ts";
import { type NetworkDefaults, networkDefaults, Networks } from "../network/index.ts";
import { Runtime } from "../runtime/index.ts";
import { VolumeStore } from "../volume/index.ts";
import { EngineBuildRunner } from "./build-runner.ts";
import { removeEmptyParent } from "./cgroup-parent.ts";
import { ContainerStore } from "./container-store.ts";
import { Containers } from "./containers/containers.ts";
import { Lifecycle } from "./containers/lifecycle.ts";
import { leaseOf } from "./containers/lease.ts";
import { checkPassable } from "./containers/user-namespace.ts";
import { type ShutDown, shutDownContainers } from "./containers/shutdown.ts";
import { Reconciler } from "./containers/reconcile.ts";
import type { EngineContext } from "./context.ts";
import { engineId } from "./engine-id.ts";
import { EngineLock } from "./engine-lock.ts";
import { EventBus } from "./events.ts";
import { fetchForBuild } from "./build-images.ts";
import { HealthMonitor } from "./health/health-monitor.ts";
import { hostFacts } from "./host-facts.ts";
import { Execs } from "./execs/execs.ts";
import { type EnginePaths, enginePaths } from "./paths.ts";
import { Runtimes } from "./runtimes.ts";
import { describeSettings } from "./settings/describe.ts";
import { type LiveSettings, usualLiveSettings } from "./settings/engine-settings.ts";
import { registriesOptions } from "./settings/registries-options.ts";
import { UserLookup } from "./users/user-lookup.ts";

export interface EngineOptions {
  /** Data that survives a reboot. */
  readonly root: string;
  /** Sockets and live state. */
  readonly state: string;
  readonly logger: Logger;
  /** How new layers are kept; `auto` unless told. */
  readonly snapshotter?: SnapshotterWish;
  /** Of networks that do not say otherwise. */
  readonly network?: NetworkDefaults;
  /** What `reload` can change. */
  readonly live?: LiveSettings;
  /** Locks that an engine in this process has left. */
  readonly inheritedLocks?: readonly number[];
}

export class Engine {
  readonly paths: EnginePaths;
  readonly sys: Sys;
  readonly logger: Logger;
  readonly images: ImageStore;
  readonly registries: Registries;
  readonly trees: Trees;
  readonly networks: Networks;
  readonly volumes: VolumeStore;
  readonly builder: Builder;
  readonly events: EventBus;
  readonly runtimes: Runtimes;
  readonly containers: Containers;
  readonly execs: Execs;
  readonly startedAtMs: number = Date.now();
  /** Of this root directory, for ever: `ID` of GET /info. */
  readonly id: string;
  readonly #context: EngineContext;
  readonly #lifecycle: Lifecycle;
  readonly #lock: EngineLock;
  #health: HealthMonitor | undefined;
  #live: LiveSettings;

  /**
   * Takes the directories, opens the rooms and finds what an earlier engine left. Containers whose restart policy says so are
   * started after this resolves.
   * @throws {GantryError} "conflict" when another engine holds the root or the state directory
   */
  static async open(options: EngineOptions): Promise<Engine> {
    const paths = enginePaths(options.root, options.state);
    const sys = loadSys();
    const lock = await EngineLock.take(paths, sys, options.inheritedLocks);
    try {
      const context = await openRooms(paths, sys, options);
      const engine = new Engine(context, lock, options.live ?? usualLiveSettings);
      await new Reconciler(context, engine.#lifecycle).run();
      engine.#health = engine.#watchHealth();
      const users = context.store.list().map(({ record }) => [leaseOf(record.id), record.imageId] as const);
      context.images.restoreLeases(new Map(users));
      return engine;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private constructor(context: EngineContext, lock: EngineLock, live: LiveSettings) {
    this.#context = context;
    this.#lock = lock;
    this.#live = live;
    this.paths = context.paths;
    this.sys = context.sys;
    this.logger = context.logger;
    this.images = context.images;
    this.registries = context.registries;
    this.trees = context.trees;
    this.networks = context.networks;
    this.volumes = context.volumes;
    this.events = context.events;
    this.runtimes = context.runtimes;
    this.id = engineId(context.db);
    this.#lifecycle = new Lifecycle(context);
    this.execs = new Execs(context, this.#lifecycle);
    this.containers = new Containers(context, this.#lifecycle, (id) => this.execs.idsOf(id));
    this.builder = new Builder({
      images: context.images,
      trees: context.trees,
      runner: new EngineBuildRunner(context),
      root: join(context.paths.root, "build"),
      logger: context.logger,
      fetchImage: fetchForBuild(context),
    });
  }

  /** The settings that hold now. */
  get live(): LiveSettings {
    return this.#live;
  }

  /** Other settings from now on; what runs goes on with those that it began with. */
  reload(live: LiveSettings): void {
    this.#live = live;
    const { defaults, runtimes, registries, images, events } = this.#context;
    // Who root is in containers can only change between two engines.
    Object.assign(defaults, live.containers, { idMaps: defaults.idMaps });
    runtimes.replace(live.runtimes);
    registries.configure(registriesOptions(live));
    images.setDownloads(live.transfers.downloads);
    events.emit("daemon", "reload", this.id, {
      name: this.#context.host.hostname,
      ...describeSettings(live),
    });
  }

  /** Stops all containers because the host goes down; afterwards nothing is started any more. */
  shutDown(timeoutMs = this.#live.shutdownTimeoutMs): Promise<ShutDown> {
    return shutDownContainers(this.#context, this.#lifecycle, timeoutMs);
  }

  /** Lets go of everything; containers go on. Afterwards another engine may open the directories. */
  async close(): Promise<void> {
    await this.closeForNext();
    this.#lock.release();
  }

  /** As `close`, but for the locks. @returns their files, for the engine that goes on in this process */
  async closeForNext(): Promise<readonly number[]> {
    this.#health?.close();
    await this.#lifecycle.close();
    this.execs.close();
    await this.#context.networks.close();
    removeEmptyParent(this.#context.cgroups, this.paths);
    this.images.unmount(this.#holdersInUse());
    this.#context.db.close();
    return this.#lock.files;
  }

  /** From here on containers are asked how they are. */
  #watchHealth(): HealthMonitor {
    return new HealthMonitor({
      context: this.#context,
      execs: this.execs,
      emit: (id, action) => this.#lifecycle.emit(id, action),
      restart: (id) => this.containers.restartUnhealthy(id),
    });
  }

  /** Leases of containers that go on: their layers stay mounted, so that the next engine shares them with those containers. */
  #holdersInUse(): readonly string[] {
    const living = this.containers.list().filter(({ state }) => state.pid !== 0);
    return living.map(({ record }) => leaseOf(record.id));
  }
}

async function openRooms(
  paths: EnginePaths,
  sys: Sys,
  { logger, snapshotter = "auto", network = networkDefaults, live = usualLiveSettings }: EngineOptions,
): Promise<EngineContext> {
  const defaults = { ...live.containers };
  sys.raiseFileLimit();
  for (const dir of [
    join(paths.root, "containers"),
    join(paths.state, "m"),
    paths.mountPoint,
    paths.mappedPoint,
  ])
    mkdirSync(dir, { recursive: true, mode: 0o711 });
  if (live.containers.idMaps !== undefined) checkPassable(paths.mountPoint);
  const db = new Database(paths.database);
  try {
    const cgroups = detectCgroups();
    const networks = await Networks.open({ db, sys, logger, instance: paths.instance, defaults: network });
    const images = new ImageStore({ root: paths.root, db, sys, logger, snapshotter });
    images.setDownloads(live.transfers.downloads);
    return {
      paths,
      sys,
      logger,
      db,
      cgroups,
      host: hostFacts(cgroups),
      defaults,
      runtime: new Runtime(sys),
      runtimes: new Runtimes(live.runtimes),
      images,
      registries: new Registries(registriesOptions(live)),
      trees: new Trees(sys, paths.root),
      networks,
      volumes: new VolumeStore({ root: paths.root, db, logger }),
      store: new ContainerStore(db),
      events: new EventBus(),
      users: new UserLookup(sys),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}
