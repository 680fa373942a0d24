/** `gantry-oci start`. */
import { GantryError, isErrno } from "../../lib/index.ts";
import { endContainer } from "./delete.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { runHooks } from "./hooks.ts";
import { NotifySocket } from "./notify-socket.ts";
import { hookState, shownState } from "./oci-state.ts";
import { O_NONBLOCK, O_RDONLY } from "./open-flags.ts";
import { isAlive } from "./process-identity.ts";
import { awaitProgram } from "./start-report.ts";

const startDeadlineMs = 10_000;
const lookEveryMs = 100;

export function start({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("start", flags, 1);
  const dir = new ContainerDir(global.root, id);
  const notify = NotifySocket.fromEnvironment(dir.path);
  const { process } = dir.locked(() => {
    const stored = dir.read();
    const status = dir.statusOf(stored);
    if (status === "stopped") throw new GantryError("conflict", "cannot start a container that has stopped");
    if (status !== "created") throw new GantryError("conflict", "cannot start an already running container");
    notify?.bind();
    releaseFifo(dir.fifo, stored);
    poststart(dir, stored);
    return stored;
  });
  if (process !== undefined) notify?.relayUntilReady(process);
  return 0;
}

/** @throws {GantryError} naming the hook that failed; the container is killed then (runtime-spec, "Lifecycle", 9) */
export function poststart(dir: ContainerDir, stored: StoredState): void {
  const hooks = stored.config.hooks?.poststart;
  if (hooks === undefined) return;
  try {
    runHooks("poststart", hooks, hookState(shownState(dir, stored)));
  } catch (error) {
    endContainer(stored);
    throw error;
  }
}

/** The program has the fifo open for writing, or is about to: it goes on when somebody opens it for reading. */
function releaseFifo(fifo: string, { process, config }: StoredState): void {
  const fd = host.open(fifo, O_RDONLY | O_NONBLOCK, 0);
  try {
    const until = host.monotonic() + startDeadlineMs;
    while (host.poll([fd], lookEveryMs).length === 0) {
      if (process === undefined || !isAlive(process)) throw endedBefore();
      if (host.monotonic() > until)
        throw new GantryError("timeout", `the container did not begin within ${startDeadlineMs / 1000} s`, {
          hint: "its first process may have been stopped; look with: gantry-oci state",
        });
    }
    // The child writes one byte: it has passed the fifo. An end without it means that it died in between.
    if ((host.read(fd, 1, 0)?.length ?? 0) === 0) throw endedBefore();
    awaitProgram(fd, config);
  } finally {
    host.close(fd);
  }
  try {
    host.unlink(fifo);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

function endedBefore(): GantryError {
  return new GantryError("conflict", "the container's process ended before it was started");
}
