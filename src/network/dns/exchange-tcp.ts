/** One DNS question over TCP: for answers that no datagram holds. */
import type { ExchangeRequest } from "./exchange-udp.ts";
import { framed, MessageReader } from "./message-reader.ts";

/** The answer, or undefined after the timeout, or when the server refuses or hangs up. Never rejects. */
export async function exchangeTcp(request: ExchangeRequest): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), request.timeoutMs);
  try {
    // A socket that opens after the timeout is closed at once.
    connect(request, resolve).then(
      (socket) => void promise.then(() => socket.end()),
      () => resolve(undefined),
    );
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** @throws ECONNREFUSED, ENETUNREACH …: this server does not answer */
async function connect(
  request: ExchangeRequest,
  resolve: (answer: Uint8Array | undefined) => void,
): Promise<Bun.Socket<undefined>> {
  const reader = new MessageReader();
  return await Bun.connect({
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
}
