/** Clients that attached to a container before its start (`docker run` does): they get its output from the first byte. */
import type { AttachSession, AttachStreams, Exited } from "../../runtime/index.ts";
import { GantryError } from "../../lib/index.ts";

type Handlers = Parameters<AttachSession["begin"]>[0];

/** More clients that wait for one container's start than this are refused. */
const maxWaiting = 64;

/** A session that begins with the container's start. Writes wait for it. */
export class PendingSession implements AttachSession {
  readonly streams: AttachStreams;
  readonly #forget: (session: PendingSession) => void;
  readonly #connected = Promise.withResolvers<AttachSession | undefined>();
  #session: AttachSession | undefined;
  #handlers: Handlers | undefined;
  #closed = false;

  constructor(streams: AttachStreams, forget: (session: PendingSession) => void) {
    this.streams = streams;
    this.#forget = forget;
  }

  /** @param session undefined: the container was not started, the client's session is over */
  connect(session: AttachSession | undefined): void {
    if (this.#closed) {
      session?.close();
      return;
    }
    this.#session = session;
    this.#connected.resolve(session);
    if (this.#handlers === undefined) return;
    if (session === undefined) this.#handlers.onEnd(undefined);
    else session.begin(this.#handlers);
  }

  begin(handlers: Handlers): void {
    this.#handlers = handlers;
    this.#session?.begin(handlers);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await (await this.#connected.promise)?.write(bytes);
  }

  endStdin(): void {
    void this.#connected.promise.then((session) => session?.endStdin());
  }

  resize(rows: number, cols: number): void {
    void this.#connected.promise.then((session) => session?.resize(rows, cols));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget(this);
    if (this.#session === undefined) this.#connected.resolve(undefined);
    else this.#session.close();
  }

  /** Ends a session that never began: the container is gone. */
  abandon(): void {
    this.connect(undefined);
    this.#closed = true;
  }
}

export class Attachments {
  readonly #waiting = new Map<string, Set<PendingSession>>();

  /** @throws {GantryError} "exhausted" */
  wait(id: string, streams: AttachStreams): PendingSession {
    const waiting = this.#waiting.get(id) ?? new Set<PendingSession>();
    if (waiting.size >= maxWaiting) {
      throw new GantryError(
        "exhausted",
        `${maxWaiting} clients wait already for the start of container ${id}`,
      );
    }
    const session = new PendingSession(streams, (closed) => this.#forget(id, closed));
    waiting.add(session);
    this.#waiting.set(id, waiting);
    return session;
  }

  #forget(id: string, session: PendingSession): void {
    const waiting = this.#waiting.get(id);
    waiting?.delete(session);
    if (waiting?.size === 0) this.#waiting.delete(id);
  }

  /** Those who wait for this container's start, for it to begin. */
  take(id: string): readonly PendingSession[] {
    const waiting = [...(this.#waiting.get(id) ?? [])];
    this.#waiting.delete(id);
    return waiting;
  }

  /** The container is gone. */
  drop(id: string): void {
    for (const session of this.take(id)) session.abandon();
  }

  close(): void {
    for (const id of this.#waiting.keys()) this.drop(id);
  }
}

/** A session without a container: what it has to say is said, then it ends. */
export function endedSession(exited: Exited | undefined): AttachSession {
  return {
    begin: (handlers) => handlers.onEnd(exited),
    write: () => Promise.resolve(),
    endStdin: () => undefined,
    resize: () => undefined,
    close: () => undefined,
  };
}
