/** One DNS question over UDP, from a fresh port of its own. */

export interface ExchangeRequest {
  readonly address: string;
  readonly port: number;
  readonly message: Uint8Array;
  /** True for the answer to this question; others are passed over. */
  readonly accepts: (answer: Uint8Array) => boolean;
  readonly timeoutMs: number;
}

/** The answer, or undefined after the timeout or when the server cannot be reached. Never rejects. */
export async function exchangeUdp(request: ExchangeRequest): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), request.timeoutMs);
  let socket: Bun.udp.ConnectedSocket<"buffer"> | undefined;
  try {
    // Connected, so that the kernel takes datagrams of this server only and tells us when its port is closed.
    socket = await Bun.udpSocket({
      connect: { hostname: request.address, port: request.port },
      socket: {
        data(_socket, bytes) {
          if (request.accepts(bytes)) resolve(Uint8Array.from(bytes));
        },
        error() {
          resolve(undefined);
        },
      },
    });
    socket.send(request.message);
    return await promise;
  } catch {
    // ENETUNREACH, EINVAL of an address that is none …: this server does not answer.
    return undefined;
  } finally {
    clearTimeout(timer);
    socket?.close();
  }
}
