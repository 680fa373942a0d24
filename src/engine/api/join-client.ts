/** What attach and exec start have in common: a session joined to a client by an upgrade, or to an ordinary answer. */
import type { ServerResponse } from "node:http";
import type { Duplex, Writable } from "node:stream";
import { GantryError } from "../../lib/index.ts";
import type { AttachSession } from "../../runtime/index.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { endConnection, feedInput, feedOutput, mediaTypes } from "./hijack.ts";
import { type Call, isBelow } from "./router.ts";

/** The oldest API version whose clients know the media type of framed streams. */
const framedSince = [1, 42] as const;

export interface JoinRequest {
  readonly call: Call;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly detachKeys: string;
}

/** The content type of a joined stream or a log. */
export function streamType({ version }: Call, tty: boolean): string {
  return tty || isBelow(version, framedSince) ? mediaTypes.raw : mediaTypes.framed;
}

/** Joins an upgraded connection to a session, after the switching head was written. Resolves at the end. */
export async function joinSocket(
  session: AttachSession,
  request: JoinRequest,
  socket: Duplex,
  head: Uint8Array,
): Promise<void> {
  const ended = feedOutput(session, socket, !request.tty);
  if (request.stdin) {
    const detachKeys = request.tty ? { detachKeys: parseDetachKeys(request.detachKeys) } : {};
    const onDetach = (): void => {
      session.close();
      endConnection(socket);
    };
    feedInput(session, socket, { ...detachKeys, head, onDetach });
  } else {
    // What a client without stdin sends is nobody's, but its end of file must be seen.
    socket.resume();
  }
  await ended;
  endConnection(socket);
}

/**
 * Joins an ordinary request to a session: its output is the body of the answer, up to the connection's end.
 * @throws {GantryError} "invalid" when the client wants stdin, which only an upgraded connection has
 */
export async function joinResponse(
  session: AttachSession,
  request: JoinRequest,
  response: ServerResponse,
): Promise<void> {
  startRaw(response, mediaTypes.raw);
  await feedOutput(session, response, !request.tty);
  endConnection(response);
}

/** For a client that did not ask for an upgrade: checked before anything is started for it. */
export function refuseStdin(stdin: boolean): void {
  if (!stdin) return;
  throw new GantryError("invalid", "attaching stdin needs the headers Connection: Upgrade and Upgrade: tcp", {
    hint: "clients older than API 1.20 cannot send stdin to this engine",
  });
}

/** Sends the head of an answer that lasts to the connection's end, without chunks, as clients that hijack expect it. */
export function startRaw(
  response: ServerResponse & { useChunkedEncodingByDefault?: boolean },
  contentType: string,
): Writable {
  response.useChunkedEncodingByDefault = false;
  response.shouldKeepAlive = false;
  response.writeHead(200, { "Content-Type": contentType, Connection: "close" });
  response.flushHeaders();
  return response;
}
