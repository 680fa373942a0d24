/** One DNS question over TCP: for answers that no datagram holds. */
import type { ExchangeRequest } from "./exchange-udp.ts";
import { framed, MessageReader } from "./message-reader.ts";

/** The answer, or undefined after the timeout, or when the server refuses or hangs up. */
export async function exchangeTcp(request: ExchangeRequest): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), request.timeoutMs);
  const reader = new MessageReader();
  const opening = Bun.connect({
    hostname: request.address,
    port: request.port,
    socket: {
      open(socket) {
        socket.write(framed(request.message));
      },
      data(_socket, bytes) {
        const messages = reader.add(bytes);
        const answer = messages?.find((message) => request.accepts(message));
        if (answer !== undefined || messages === undefined) resolve(answer);
      },
      close() {
        resolve(undefined);
      },
      error() {
        resolve(undefined);
      },
    },
  });
  // ECONNREFUSED and the like: this server does not answer. A socket that opens after the timeout is closed at once.
  opening.then(
    (socket) => void promise.then(() => socket.end()),
    () => resolve(undefined),
  );
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
