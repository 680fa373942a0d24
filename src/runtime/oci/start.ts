/** `gantry-oci start`. */
import { closeSync, constants, openSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { loadSys } from "../../kernel/index.ts";
import { GantryError, isErrno } from "../../lib/index.ts";
import { withDeadline } from "../deadline.ts";
import { ContainerDir } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";

const startDeadlineMs = 10_000;

export async function start({ global, flags }: VerbInput): Promise<number> {
  const [id = ""] = expectWords("start", flags, 1);
  const dir = new ContainerDir(global.root, id);
  await dir.locked(loadSys(), async () => {
    const stored = dir.read();
    const status = dir.statusOf(stored);
    if (status === "stopped") throw new GantryError("conflict", "cannot start a container that has stopped");
    if (status !== "created") throw new GantryError("conflict", "cannot start an already running container");
    await releaseFifo(dir.fifo);
    if (stored.config.hooks?.poststart !== undefined) {
      const [{ runHooks }, { shownState }] = await Promise.all([
        import("./hooks.ts"),
        import("./oci-state.ts"),
      ]);
      await runHooks("poststart", stored.config.hooks.poststart, await shownState(dir, stored));
    }
  });
  return 0;
}

/** The program has the fifo open for writing, or is about to: it goes on when somebody opens it for reading. */
async function releaseFifo(fifo: string): Promise<void> {
  const opening = open(fifo, "r");
  const late = (): GantryError =>
    new GantryError("timeout", `the container did not begin within ${startDeadlineMs / 1000} s`, {
      hint: "its first process may have been killed or stopped; look with: gantry-oci state",
    });
  try {
    const handle = await withDeadline(opening, startDeadlineMs, late);
    try {
      // The child writes one byte: it has passed the fifo. An end without it means that it died in between.
      const { bytesRead } = await handle.read(new Uint8Array(1), 0, 1);
      if (bytesRead === 0)
        throw new GantryError("conflict", "the container's process ended before it was started");
    } finally {
      await handle.close();
    }
  } catch (error) {
    unblock(fifo);
    throw error;
  }
  await rm(fifo, { force: true });
}

/** Ends an open that still waits for a writer. */
function unblock(fifo: string): void {
  try {
    closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch (error) {
    // ENXIO: nobody waits. ENOENT: the fifo is gone.
    if (!isErrno(error, "ENXIO", "ENOENT")) throw error;
  }
}
