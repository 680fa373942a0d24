/** `gantry-oci delete`. */
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import { sharesMounts } from "../plan-namespaces.ts";
import { killCgroups, removeCgroups } from "./cleanup.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { runHooksToTheEnd } from "./hooks.ts";
import { signalFirst } from "./kill.ts";
import { hookState, isPaused, shownState } from "./oci-state.ts";
import { programName } from "./program-name.ts";
import { isAlive } from "./process-identity.ts";
import { SIGKILL } from "./signals.ts";

const endDeadlineMs = 10_000;
const firstPollMs = 1;
const maxPollMs = 20;

export function deleteContainer({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("delete", flags, 1);
  const force = flags.is("force");
  const dir = new ContainerDir(global.root, id);
  if (force && !dir.exists) return 0;
  try {
    dir.locked(() => {
      const stored = readOrForce(dir, force);
      if (stored !== undefined) deleteStored(dir, stored, force);
      dir.remove();
    });
  } catch (error) {
    // Deleted by another command meanwhile.
    if (!(force && error instanceof GantryError && error.code === "not-found")) throw error;
  }
  return 0;
}

/** With --force a state file that is missing or broken (a create killed half-way) hinders nobody. */
function readOrForce(dir: ContainerDir, force: boolean): StoredState | undefined {
  try {
    return dir.read();
  } catch (error) {
    if (force && error instanceof GantryError && error.code === "corrupt") return undefined;
    throw error;
  }
}

function deleteStored(dir: ContainerDir, stored: StoredState, force: boolean): void {
  const { status } = shownState(dir, stored);
  if ((status === "running" || status === "paused") && !force)
    throw new GantryError("conflict", `cannot delete container ${stored.id} that is not stopped: ${status}`, {
      hint: `stop it first, or use: ${programName()} delete --force ${stored.id}`,
    });
  if (status === "stopped") removeCgroups(stored);
  else endContainer(stored);
  if (sharesMounts(stored.config)) unmountRoot(stored);
  const hooks = stored.config.hooks?.poststop;
  if (hooks !== undefined) runHooksToTheEnd("poststop", hooks, hookState(shownState(dir, stored)));
}

/** What was mounted for a container without a mount namespace is the host's until it is deleted. */
function unmountRoot({ rootfs }: StoredState): void {
  try {
    host.unmount(rootfs);
  } catch (error) {
    // EINVAL: it is unmounted already. ENOENT: the bundle is gone.
    if (!isErrno(error, "EINVAL", "ENOENT")) throw toGantryError(error, `unmount ${rootfs}`);
  }
}

/** Kills the container, waits for its end and removes its cgroups. */
export function endContainer(stored: StoredState): void {
  // With the first process of a pid namespace all others end, unless they are frozen.
  if (!signalFirst(stored, SIGKILL) || isPaused(stored)) killCgroups(stored);
  untilEnded(stored);
  removeCgroups(stored);
}

function untilEnded({ id, process: first }: StoredState): void {
  const until = host.monotonic() + endDeadlineMs;
  for (
    let pause = firstPollMs;
    first !== undefined && isAlive(first);
    pause = Math.min(maxPollMs, pause * 2)
  ) {
    if (host.monotonic() > until)
      throw new GantryError(
        "timeout",
        `the first process of container ${id} did not end within ${endDeadlineMs / 1000} s of SIGKILL`,
        { hint: "it hangs in the kernel; see its wchan in: ps -eo pid,stat,wchan,args" },
      );
    host.sleep(pause);
  }
}
