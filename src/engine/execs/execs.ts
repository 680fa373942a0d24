/** The execs of all containers: a bounded table in memory, gone with their container and with the engine. */
import { GantryError, newId } from "../../lib/index.ts";
import type { AttachSession, Exited, Started } from "../../runtime/index.ts";
import type { Lifecycle } from "../containers/lifecycle.ts";
import type { EngineContext } from "../context.ts";
import type { ExecConfig, ExecStart, ExecView } from "./exec.ts";
import { startExecProcess } from "./exec-process.ts";
import { failedExitCode } from "./exec-error.ts";

/** Ended execs that are remembered, for `inspect`; the oldest go first. */
const keptEnded = 1024;
const sigkill = 9;
/** More in one engine than this are refused. */
const maxExecs = 16 * 1024;

interface Entry {
  readonly id: string;
  readonly containerId: string;
  readonly config: ExecConfig;
  readonly ended: PromiseWithResolvers<Exited>;
  phase: "created" | "starting" | "running" | "ended";
  exitCode: number | undefined;
  pid: number;
  resize: ((rows: number, cols: number) => void) | undefined;
  kill: (() => void) | undefined;
  close: (() => void) | undefined;
}

export class Execs {
  readonly #context: EngineContext;
  readonly #lifecycle: Lifecycle;
  readonly #entries = new Map<string, Entry>();
  readonly #byContainer = new Map<string, Set<string>>();

  constructor(context: EngineContext, lifecycle: Lifecycle) {
    this.#context = context;
    this.#lifecycle = lifecycle;
    lifecycle.onRemoved((containerId) => this.#forgetContainer(containerId));
  }

  /**
   * Records an exec; nothing runs yet.
   * @throws {GantryError} "not-found"; "conflict" when the container does not run or is paused; "invalid" without a command
   */
  create(containerReference: string, config: ExecConfig): { readonly id: string } {
    const { record, state } = this.#context.store.find(containerReference);
    if (state.status === "paused") {
      throw new GantryError(
        "conflict",
        `Container ${record.id} is paused, unpause the container before exec`,
      );
    }
    if (state.status !== "running")
      throw new GantryError("conflict", `container ${record.id} is not running`);
    if (config.cmd.length === 0) throw new GantryError("invalid", "No exec command specified");
    this.#makeRoom();
    const id = newId();
    const ended = Promise.withResolvers<Exited>();
    // Nobody has to wait for it.
    ended.promise.catch(() => undefined);
    this.#entries.set(id, {
      id,
      containerId: record.id,
      config,
      ended,
      phase: "created",
      exitCode: undefined,
      pid: 0,
      resize: undefined,
      kill: undefined,
      close: undefined,
    });
    const ids = this.#byContainer.get(record.id);
    if (ids === undefined) this.#byContainer.set(record.id, new Set([id]));
    else ids.add(id);
    this.#lifecycle.emit(record.id, `exec_create: ${config.cmd.join(" ")}`, { execID: id });
    return { id };
  }

  /** @throws {GantryError} "not-found"; "conflict" when it was started before or its container does not run */
  checkStart(id: string): void {
    const { phase, containerId } = this.#get(id);
    if (phase !== "created") {
      const why = phase === "ended" ? "has already run" : "is already running";
      throw new GantryError("conflict", `exec command ${id} ${why}`);
    }
    const { status } = this.#context.store.get(containerId).state;
    if (status === "paused")
      throw new GantryError(
        "conflict",
        `Container ${containerId} is paused, unpause the container before exec`,
      );
    if (status !== "running") throw new GantryError("conflict", `container ${containerId} is not running`);
  }

  /**
   * Runs it. `session` is there when streams are attached and exists from the first byte.
   * @throws {GantryError} "conflict" when it was started before or the container does not run; "command-not-found" (exit code
   * 127) | "command-not-executable" (126)
   */
  async start(
    id: string,
    options: ExecStart,
  ): Promise<{ readonly session?: AttachSession; readonly started: Started }> {
    this.checkStart(id);
    const entry = this.#get(id);
    entry.phase = "starting";
    try {
      const target = this.#context.store.get(entry.containerId);
      const process = await startExecProcess(this.#context, target, entry.config, options);
      entry.phase = "running";
      entry.pid = process.started.pid;
      entry.resize = (rows, cols) => process.control.resize(rows, cols);
      // It may have ended in this moment, and its monitor with it.
      entry.kill = () => void process.control.signal(sigkill).catch(() => undefined);
      entry.close = () => process.control.close();
      this.#lifecycle.emit(entry.containerId, `exec_start: ${entry.config.cmd.join(" ")}`, { execID: id });
      void process.control.exited.then((exited) => this.#end(entry, exited));
      return {
        started: process.started,
        ...(process.session === undefined ? {} : { session: process.session }),
      };
    } catch (error) {
      this.#end(entry, {
        exitCode: failedExitCode(error),
        signal: 0,
        oomKilled: false,
        atMs: Date.now(),
        lostLogLines: 0,
      });
      throw error;
    }
  }

  /** @param exited undefined: its monitor was killed */
  #end(entry: Entry, exited: Exited | undefined): void {
    if (entry.phase === "ended") return;
    const ending = exited ?? {
      exitCode: 255,
      signal: 0,
      oomKilled: false,
      atMs: Date.now(),
      lostLogLines: 0,
    };
    const ran = entry.phase === "running";
    entry.phase = "ended";
    entry.exitCode = ending.exitCode;
    entry.resize = undefined;
    entry.kill = undefined;
    entry.close?.();
    entry.close = undefined;
    entry.ended.resolve(ending);
    if (ran)
      this.#lifecycle.emit(entry.containerId, "exec_die", {
        execID: entry.id,
        exitCode: String(ending.exitCode),
      });
  }

  /** @throws {GantryError} "not-found" */
  inspect(id: string): ExecView {
    const { containerId, config, phase, exitCode, pid } = this.#get(id);
    return { id, containerId, config, running: phase === "running", exitCode, pid };
  }

  /** @throws {GantryError} "not-found"; "conflict" when it does not run */
  resize(id: string, rows: number, cols: number): void {
    const { resize } = this.#get(id);
    if (resize === undefined) throw new GantryError("conflict", `exec command ${id} is not running`);
    resize(rows, cols);
  }

  /** Ends it if it runs. */
  kill(id: string): void {
    this.#entries.get(id)?.kill?.();
  }

  /** Resolves when it has ended; rejects when its container is removed before it was started. */
  exited(id: string): Promise<Exited> {
    return this.#get(id).ended.promise;
  }

  /** Of one container, those that have not ended: `ExecIDs` of its inspection. */
  idsOf(containerId: string): readonly string[] {
    return [...(this.#byContainer.get(containerId) ?? [])].filter(
      (id) => this.#entries.get(id)?.phase !== "ended",
    );
  }

  close(): void {
    for (const entry of this.#entries.values()) entry.close?.();
  }

  #get(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new GantryError("not-found", `No such exec instance: ${id}`);
    return entry;
  }

  /** Forgets the oldest ended ones. @throws {GantryError} "exhausted" */
  #makeRoom(): void {
    if (this.#entries.size < keptEnded) return;
    for (const entry of this.#entries.values()) {
      if (this.#entries.size < keptEnded) return;
      if (entry.phase === "ended") this.#forget(entry);
    }
    if (this.#entries.size >= maxExecs) {
      throw new GantryError("exhausted", `${maxExecs} execs are running or wait for their start`, {
        hint: "start them or remove their containers",
      });
    }
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.id);
    const ids = this.#byContainer.get(entry.containerId);
    ids?.delete(entry.id);
    if (ids?.size === 0) this.#byContainer.delete(entry.containerId);
  }

  #forgetContainer(containerId: string): void {
    for (const id of this.#byContainer.get(containerId) ?? []) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      entry.close?.();
      if (entry.phase === "created")
        entry.ended.reject(new GantryError("not-found", `No such container: ${containerId}`));
      this.#forget(entry);
    }
  }
}
