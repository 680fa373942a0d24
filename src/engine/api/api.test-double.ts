/** An engine that plays one part, served on a real unix socket, and a client that speaks bytes. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, GantryError } from "../../lib/index.ts";
import type { Sys } from "../../kernel/index.ts";
import type { AttachSession, Exited } from "../../runtime/index.ts";
import { EventBus } from "../events.ts";
import { Runtimes } from "../runtimes.ts";
import { enginePaths } from "../paths.ts";
import { initialState } from "../container.ts";
import { usualLiveSettings } from "../settings/engine-settings.ts";
import { sampleRecord } from "../sample.test-data.ts";
import type { ApiEngine } from "./api-engine.ts";
import { createApi } from "./create-api.ts";
import type { ContainerView } from "./wire-container.ts";

/** A part of the engine that has only the given members: using another one fails the call by its name. */
function part<T extends object>(name: string, members: Partial<T>): T {
  return new Proxy(members, {
    get(target, key) {
      if (Reflect.has(target, key)) return Reflect.get(target, key) as unknown;
      throw new GantryError("internal", `the test's ${name} has no ${String(key)}`);
    },
  }) as T;
}

export type Parts = {
  readonly [
    K in "containers" | "execs" | "images" | "registries" | "trees" | "networks" | "volumes" | "builder"
  ]?: Partial<ApiEngine[K]>;
};

export interface TestApi {
  readonly path: string;
  readonly events: EventBus;
  readonly logged: readonly string[];
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  /** Sends JSON. */
  readonly post: (path: string, body?: unknown) => Promise<Response>;
  readonly stop: () => void;
}

/** Serves an engine made of the given parts. */
export async function serveApi(parts: Parts): Promise<TestApi> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-api-"));
  const path = join(folder, "s");
  const events = new EventBus();
  const logged: string[] = [];
  const engine: ApiEngine = {
    id: "engine-id",
    startedAtMs: 1_700_000_000_000,
    paths: enginePaths("/var/lib/gantry-test", "/run/gantry-test"),
    logger: createLogger("debug", (line) => void logged.push(line)),
    sys: part<Sys>("sys", { statfs: () => ({ type: 0xef53, totalBytes: 1n, freeBytes: 1n }) }),
    containers: part("containers", parts.containers ?? {}),
    execs: part("execs", parts.execs ?? {}),
    images: part("images", parts.images ?? {}),
    registries: part("registries", parts.registries ?? {}),
    trees: part("trees", parts.trees ?? {}),
    networks: part("networks", parts.networks ?? {}),
    runtimes: new Runtimes({}),
    volumes: part("volumes", parts.volumes ?? {}),
    builder: part("builder", parts.builder ?? {}),
    events,
    live: usualLiveSettings,
    shutDown: async () => ({ stopped: 0, left: [] }),
  };
  const server = createApi(engine, {}).createServer();
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  const request = (target: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://engine${target}`, { ...init, unix: path });
  return {
    path,
    events,
    logged,
    fetch: request,
    post: (target, body) =>
      request(target, {
        method: "POST",
        ...(body === undefined
          ? {}
          : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
      }),
    stop() {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A container as the engine shows it. */
export function sampleView(change: Partial<ContainerView> = {}): ContainerView {
  const record = sampleRecord({ id: "a".repeat(64), name: "web" });
  return {
    record,
    state: { ...initialState, status: "running", pid: 42, startedAtMs: 1_700_000_000_000 },
    endpoint: undefined,
    mounts: [],
    execIds: [],
    paths: { log: "/log", hosts: "/hosts", resolvConf: "/resolv", hostname: "/hostname" },
    image: () => (change.record ?? record).config.Image,
    layers: [],
    lowers: () => [],
    upper: "/nowhere",
    ...change,
  };
}

export const exitedWith = (exitCode: number): Exited => ({
  exitCode,
  signal: 0,
  oomKilled: false,
  atMs: 0,
  lostLogLines: 0,
});

/** A session that a test plays the container of. */
export class FakeSession implements AttachSession {
  readonly #begun = Promise.withResolvers<Parameters<AttachSession["begin"]>[0]>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #stdinEnded = Promise.withResolvers<string>();
  readonly sizes: string[] = [];
  stdin = "";
  /** Writes wait for it: a program that does not read. */
  reads: Promise<void> = Promise.resolve();

  begin(handlers: Parameters<AttachSession["begin"]>[0]): void {
    this.#begun.resolve(handlers);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.reads;
    this.stdin += Buffer.from(bytes).toString();
  }

  endStdin(): void {
    this.#stdinEnded.resolve(this.stdin);
  }

  resize(rows: number, cols: number): void {
    this.sizes.push(`${rows}x${cols}`);
  }

  close(): void {
    this.#closed.resolve();
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** All of stdin. */
  get stdinEnded(): Promise<string> {
    return this.#stdinEnded.promise;
  }

  /** The container writes. */
  async say(stream: 1 | 2, text: string): Promise<void> {
    await (await this.#begun.promise).onOutput(stream, Buffer.from(text));
  }

  /** The container ends. */
  async end(exited?: Exited): Promise<void> {
    (await this.#begun.promise).onEnd(exited);
  }
}

const waitMs = 5000;

/** A connection on which a test reads and writes bytes. */
export class RawClient {
  readonly socket: Socket;
  #heard: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake = (): void => undefined;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on("data", (bytes: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, bytes]);
      this.#wake();
    });
    this.socket.on("error", () => undefined);
    for (const event of ["end", "close"]) {
      this.socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends a request that asks to switch. */
  upgrade(path: string, body?: unknown, early: Uint8Array = Buffer.alloc(0)): void {
    const text = body === undefined ? "" : JSON.stringify(body);
    const type = body === undefined ? "" : "Content-Type: application/json\r\n";
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${type}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
    this.send(Buffer.concat([Buffer.from(head), early]));
  }

  /** Waits until what was heard fits. */
  async until(fits: (heard: Buffer) => boolean, what: string): Promise<Buffer> {
    const deadline = Date.now() + waitMs;
    while (!fits(this.#heard)) {
      if (Date.now() > deadline || this.#ended)
        throw new Error(`${what} did not come; heard ${JSON.stringify(this.#heard.toString("latin1"))}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 50);
      });
    }
    return this.#heard;
  }

  /** The head of the answer; what comes behind it is kept. */
  async head(): Promise<string> {
    const heard = await this.until((bytes) => bytes.includes("\r\n\r\n"), "the head");
    const end = heard.indexOf("\r\n\r\n") + 4;
    this.#heard = heard.subarray(end);
    return heard.toString("latin1", 0, end);
  }

  /** Waits for exactly this, and takes it away. */
  async hear(want: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(want);
    const heard = await this.until(
      (all) => all.length >= bytes.length,
      JSON.stringify(bytes.toString("latin1")),
    );
    if (!heard.subarray(0, bytes.length).equals(bytes))
      throw new Error(
        `heard ${JSON.stringify(heard.toString("latin1"))} instead of ${JSON.stringify(bytes.toString("latin1"))}`,
      );
    this.#heard = heard.subarray(bytes.length);
  }

  /** Waits for the end of the answer and returns what came before. */
  async rest(): Promise<string> {
    const deadline = Date.now() + waitMs;
    while (!this.#ended) {
      if (Date.now() > deadline) throw new Error("the connection did not end");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 50);
      });
    }
    return this.#heard.toString("latin1");
  }

  close(): void {
    this.socket.destroy();
  }
}
