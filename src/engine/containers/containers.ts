/** All that can be asked of containers: each verb finds its container and hands over to the part that does the work. */
import type { Digest } from "../../lib/index.ts";
import type { AttachSession, AttachStreams, ExplainedStep } from "../../runtime/index.ts";
import type { CreateRequest } from "../api/parse-create.ts";
import type { ContainerView } from "../api/wire-container.ts";
import { type CommitRequest, commitContainer } from "../changes/commit.ts";
import { type Change, listChanges } from "../changes/list-changes.ts";
import { mountStubs } from "../changes/mount-stubs.ts";
import { initialState } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import type { LogQuery } from "../logs/cri-line.ts";
import { containerPaths } from "../paths.ts";
import { treeBytes } from "../tree-bytes.ts";
import { attachContainer, type AttachRequest } from "./attach.ts";
import { createContainer, type Created } from "./create.ts";
import { removeUnusedVolumes } from "./dispose.ts";
import { explainContainer } from "./explain.ts";
import { tryImageOf } from "./image-of.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { containerLogs } from "./logs.ts";
import { containerMetrics } from "./metrics.ts";
import { pauseContainer, unpauseContainer } from "./pause.ts";
import { pruneContainers, type PruneFilters, type Pruned } from "./prune.ts";
import { removeContainer, type RemoveOptions } from "./remove.ts";
import { renameContainer } from "./rename.ts";
import { type ContainerStats, readStats } from "./stats.ts";
import { killContainer, stopContainer, type StopOptions } from "./stop.ts";
import { type ProcessTable, topContainer } from "./top.ts";
import { type UpdateRequest, updateContainer } from "./update.ts";
import { viewContainer } from "./view.ts";
import type { ContainerExit, WaitCondition } from "./waiters.ts";

/** One container that was created and started in one go. */
export interface RunResult {
  readonly id: string;
  readonly warnings: readonly string[];
  /** Exists from the container's first byte; output flows after its `begin`. */
  readonly session?: AttachSession;
  /** Resolves when the container has ended, and with `AutoRemove` when it is gone. */
  readonly exited: Promise<ContainerExit>;
}

export class Containers {
  readonly #context: EngineContext;
  readonly #lifecycle: Lifecycle;
  readonly #execIds: (containerId: string) => readonly string[];

  /** @param execIds the execs of a container, for its view */
  constructor(
    context: EngineContext,
    lifecycle: Lifecycle,
    execIds: (containerId: string) => readonly string[],
  ) {
    this.#context = context;
    this.#lifecycle = lifecycle;
    this.#execIds = execIds;
  }

  /** By name, id or unique prefix. @throws {GantryError} "not-found" | "invalid" */
  find(reference: string): StoredContainer {
    return this.#context.store.find(reference);
  }

  /**
   * Records a container; nothing runs yet.
   * @throws {GantryError} "not-found" (image), "conflict" (name), "invalid" (mounts, user settings)
   */
  create(request: CreateRequest): Promise<Created> {
    return createContainer(this.#context, request);
  }

  /**
   * Creates, starts and attaches in one round trip. When it cannot be started all that was made for it goes again, and
   * the error says why, with code "command-not-found" (127), "command-not-executable" (126) or another (125).
   */
  async run(
    request: CreateRequest,
    options: { readonly attach: AttachStreams | undefined; readonly rows: number; readonly cols: number },
  ): Promise<RunResult> {
    const { id, warnings, madeVolumes } = await createContainer(this.#context, request);
    const cancel = new AbortController();
    const condition = request.host.AutoRemove ? "removed" : "next-exit";
    const exited = this.#lifecycle.waiters.wait(id, condition, initialState, cancel.signal);
    // Canceled below; whoever runs a container hears of its failed start by the error.
    exited.catch(() => undefined);
    try {
      const session = await this.#lifecycle.start(id, { ...options, removeOnFailure: true });
      return { id, warnings, exited, ...(session === undefined ? {} : { session }) };
    } catch (error) {
      cancel.abort();
      if (!this.#context.store.has(id)) await removeUnusedVolumes(this.#context, madeVolumes, id);
      throw error;
    }
  }

  /** @throws {GantryError} "not-modified" when it runs already, "conflict" when it is paused or being removed */
  async start(reference: string): Promise<void> {
    await this.#lifecycle.start(this.find(reference).record.id);
  }

  /** Asks it to end, and after the timeout makes it. @throws {GantryError} "not-modified" when it does not run */
  stop(reference: string, options: StopOptions = {}): Promise<void> {
    return stopContainer(this.#context, this.#lifecycle, this.find(reference).record.id, options);
  }

  /** @throws {GantryError} "conflict" when it does not run, "invalid" for an unknown signal */
  kill(reference: string, signal = "SIGKILL"): Promise<void> {
    return killContainer(this.#context, this.#lifecycle, this.find(reference).record.id, signal);
  }

  /** Stops it if it runs, then starts it. */
  async restart(reference: string, options: StopOptions = {}): Promise<void> {
    const { record, state } = this.find(reference);
    if (state.status !== "created" && state.status !== "exited") {
      const stop = (): Promise<void> => stopContainer(this.#context, this.#lifecycle, record.id, options);
      await this.#lifecycle.keeping(record.id, stop);
    }
    await this.#lifecycle.start(record.id);
    this.#lifecycle.emit(record.id, "restart");
  }

  /** Stops it if it runs, and has it started again whatever its restart policy says. */
  restartUnhealthy(id: string): Promise<void> {
    return this.#lifecycle.reviving(id, () =>
      stopContainer(this.#context, this.#lifecycle, id, { byUser: false }),
    );
  }

  /** Freezes all its processes. */
  pause(reference: string): Promise<void> {
    return pauseContainer(this.#context, this.#lifecycle, this.find(reference).record.id);
  }

  unpause(reference: string): Promise<void> {
    return unpauseContainer(this.#context, this.#lifecycle, this.find(reference).record.id);
  }

  /** Resolves with the exit code. @throws {GantryError} "canceled" when `signal` aborts */
  wait(reference: string, condition: WaitCondition, signal: AbortSignal): Promise<ContainerExit> {
    const { record, state } = this.find(reference);
    return this.#lifecycle.waiters.wait(record.id, condition, state, signal);
  }

  /** @throws {GantryError} "conflict" when it runs and `force` is not set */
  remove(reference: string, options: RemoveOptions): Promise<void> {
    return removeContainer(this.#context, this.#lifecycle, this.find(reference).record.id, options);
  }

  rename(reference: string, name: string): Promise<void> {
    return renameContainer(this.#context, this.#lifecycle, this.find(reference).record.id, name);
  }

  /** Changes limits and restart policy, also of a running container. Returns warnings. */
  update(reference: string, request: UpdateRequest): Promise<readonly string[]> {
    return updateContainer(this.#context, this.#lifecycle, this.find(reference).record.id, request);
  }

  /** Sets the size of its terminal. @throws {GantryError} "conflict" when it does not run */
  resize(reference: string, rows: number, cols: number): void {
    this.#lifecycle.control(this.find(reference).record.id).resize(rows, cols);
  }

  /** Its processes, as `ps -ef` titles them, or the columns of `-o`. */
  top(reference: string, psArgs: string): ProcessTable {
    return topContainer(this.#context, this.find(reference), psArgs);
  }

  /** All, newest first. Reads memory only. */
  list(): readonly ContainerView[] {
    return this.#context.store.list().map((stored) => this.#view(stored));
  }

  view(reference: string): ContainerView {
    return this.#view(this.find(reference));
  }

  #view(stored: StoredContainer): ContainerView {
    return viewContainer(this.#context, stored, this.#execIds(stored.record.id));
  }

  /** Bytes of what it changed on its image, and of both together. Walks its directory: for `df` and `ps -s` only. */
  async size(reference: string): Promise<{ readonly writable: number; readonly whole: number }> {
    const { record } = this.find(reference);
    const writable = await treeBytes(containerPaths(this.#context.paths, record.id).upper);
    return { writable, whole: writable + (tryImageOf(this.#context, record)?.size ?? 0) };
  }

  /** What it has changed on its image. Walks its directory. */
  changes(reference: string): readonly Change[] {
    const { record } = this.find(reference);
    return listChanges(this.#context.sys, {
      upper: containerPaths(this.#context.paths, record.id).upper,
      lowers: tryImageOf(this.#context, record)?.lowers ?? [],
      stubs: mountStubs,
    });
  }

  /** Makes an image of it. @throws {GantryError} "not-found", "unsupported", "exhausted" */
  commit(reference: string, request: CommitRequest): Promise<Digest> {
    return commitContainer(this.#context, this.#lifecycle, this.find(reference).record.id, request);
  }

  /** Removes all containers that do not run. */
  prune(filters: PruneFilters): Promise<Pruned> {
    return pruneContainers(this.#context, this.#lifecycle, filters);
  }

  /** Attaches now if it runs, else from the first byte of its next start. */
  attach(reference: string, request: AttachRequest): Promise<AttachSession> {
    return attachContainer(this.#context, this.#lifecycle, this.find(reference), request);
  }

  /**
   * Its log as the client gets it. With `follow`: until it has ended.
   * @param framed with Docker's 8-byte header before each message
   */
  logs(
    reference: string,
    query: LogQuery,
    follow: boolean,
    framed: boolean,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    return containerLogs(this.#context, this.#lifecycle, this.find(reference), {
      query,
      follow,
      framed,
      signal,
    });
  }

  /** One sample. Zeros for a container that does not run, as Docker answers. */
  stats(reference: string): ContainerStats {
    return readStats(this.#context, this.find(reference));
  }

  /** Every step asked of the kernel for this container, in words. */
  explain(reference: string): Promise<readonly ExplainedStep[]> {
    return explainContainer(this.#context, this.find(reference));
  }

  /** The containers' part of GET /metrics, in the Prometheus text format. */
  metrics(): string {
    return containerMetrics(this.#context);
  }

  /** Which container uses this image: a running one first. For removal and prune of images. */
  imageUser(imageId: Digest): { readonly container: string; readonly running: boolean } | undefined {
    const users = this.#context.store.list().filter(({ record }) => record.imageId === imageId);
    const user = users.find(({ state }) => state.pid !== 0) ?? users[0];
    return user === undefined ? undefined : { container: user.record.id, running: user.state.pid !== 0 };
  }

  /** Ids of the containers that use this volume. */
  volumeUsers(name: string): readonly string[] {
    return this.#context.store
      .list()
      .filter(({ record }) => record.volumes.some((use) => use.name === name))
      .map(({ record }) => record.id);
  }
}
