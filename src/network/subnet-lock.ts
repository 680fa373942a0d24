/** One engine at a time looks for a free subnet on this host. */
import { isErrno, type Logger } from "../lib/index.ts";

/** In the abstract name space, which belongs to the network namespace, as addresses do; the kernel frees it with the process. */
const lockName = "\0gantry-network-setup";
const patienceMs = 5_000;
const pauseMs = 20;

/**
 * Runs `work` while no other engine on this network namespace runs its own. Another process that sits on the name for ever
 * is told of and passed by.
 */
export async function withSubnetLock<T>(logger: Logger, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock(logger);
  try {
    return await work();
  } finally {
    lock?.stop(true);
  }
}

async function takeLock(logger: Logger): Promise<Bun.UnixSocketListener<undefined> | undefined> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return Bun.listen({ unix: lockName, socket: { open: (socket) => void socket.terminate(), data() {} } });
    } catch (error) {
      if (!isErrno(error, "EADDRINUSE")) throw error;
      if (performance.now() >= deadline) {
        logger.warn("network.lock-held", { name: lockName.slice(1) });
        return undefined;
      }
    }
    await Bun.sleep(pauseMs);
  }
}
