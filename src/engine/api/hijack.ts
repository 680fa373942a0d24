/** A client's connection joined to the stdio of a container or an exec. */
import type { Readable, Writable } from "node:stream";
import type { AttachSession, Exited } from "../../runtime/index.ts";
import { DetachScanner } from "./detach-keys.ts";
import { writeTo } from "./output.ts";

/** How long a client may keep its connection open after the end of the output. */
const lingerMs = 60_000;

/** The 8-byte header before each piece of output: u8 stream, 3 zero bytes, u32 big-endian length. */
export function frame(type: number, payload: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(8 + payload.length);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32BE(payload.length, 4);
  bytes.set(payload, 8);
  return bytes;
}

export const mediaTypes = {
  raw: "application/vnd.docker.raw-stream",
  framed: "application/vnd.docker.multiplexed-stream",
} as const;

/**
 * Copies a session's output to a client. The session is let go when the client goes away, the connection ended when
 * the session ends.
 * @param framed with a header before each piece; a terminal's output goes out as it is
 * @returns resolved at the end of the session or of the client
 */
export function feedOutput(
  session: AttachSession,
  sink: Writable,
  framed: boolean,
): Promise<Exited | undefined> {
  const ended = Promise.withResolvers<Exited | undefined>();
  sink.on("close", () => {
    session.close();
    ended.resolve(undefined);
  });
  if (sink.destroyed) {
    session.close();
    return Promise.resolve(undefined);
  }
  session.begin({
    onOutput: (stream, bytes) => writeTo(sink, framed ? frame(stream, bytes) : bytes),
    onEnd: (exited) => ended.resolve(exited),
  });
  return ended.promise;
}

/**
 * Copies what a client sends to a session's stdin. The client's half-close ends stdin.
 * @param detachKeys looked for in what is typed; found, `onDetach` is called and nothing more is passed on
 */
export function feedInput(
  session: AttachSession,
  source: Readable,
  options: {
    readonly head: Uint8Array;
    readonly detachKeys?: readonly number[];
    readonly onDetach: () => void;
  },
): void {
  const scanner = options.detachKeys === undefined ? undefined : new DetachScanner(options.detachKeys);
  let open = true;
  let writing = Promise.resolve();
  const take = (bytes: Uint8Array): Promise<void> => {
    const { pass, detached } = scanner?.push(bytes) ?? { pass: bytes, detached: false };
    const written = pass.length === 0 ? Promise.resolve() : session.write(pass);
    if (detached) {
      open = false;
      options.onDetach();
    }
    return written;
  };
  const data = (bytes: Uint8Array): void => {
    if (!open || bytes.length === 0) return;
    source.pause();
    // A session that has ended takes nothing more; what is typed then goes nowhere, as in a pipe.
    writing = writing
      .then(() => take(bytes))
      .then(
        () => void source.resume(),
        () => void source.resume(),
      );
  };
  data(options.head);
  source.on("data", data);
  source.on("end", () => {
    void writing.then(() => {
      if (open) session.endStdin();
    });
  });
}

/** Ends a client's connection; one that does not close its side is cut after a minute. */
export function endConnection(sink: Writable): void {
  if (sink.destroyed) return;
  sink.end();
  const timer = setTimeout(() => sink.destroy(), lingerMs);
  timer.unref();
  sink.on("close", () => clearTimeout(timer));
}
