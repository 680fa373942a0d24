/** Gives a plan to a gantry-init that was just spawned, and hears whether the program runs. */
import { GantryError } from "../lib/index.ts";
import { removeCgroupDir } from "./cgroup-engine.ts";
import type { Channel } from "./channel.ts";
import type { Control, FirstWord } from "./control.ts";
import { withDeadline } from "./deadline.ts";
import { failureError } from "./failure.ts";
import type { Started } from "./frames.ts";
import { killHoldersOfSocket } from "./kill-holders.ts";
import { hookSeconds } from "./plan-hooks.ts";
import type { Plan } from "./plan-step.ts";

const startDeadlineMs = 30_000;

export interface Receiver {
  readonly control: Control;
  readonly channel: Channel;
  /** Of the socket that the child has as fd 3: how it is found when it hangs. */
  readonly inode: number;
}

/**
 * Resolves when the container's program runs (or waits for start).
 * @throws {GantryError} naming the step that failed; "timeout" after 30 s and what the hooks may take, when the process is killed and the cgroups that
 * the plan made are removed
 */
export async function handOver(plan: Plan, bytes: Uint8Array, to: Receiver): Promise<Started> {
  // A write that fails means that the other end is closed; what was said before, or that it went, is `first`.
  to.channel.write(bytes).catch(() => {});
  // Hooks have time-outs of their own.
  const deadlineMs = startDeadlineMs + hookSeconds(plan) * 1000;
  let first: FirstWord;
  try {
    first = await withDeadline(to.control.first, deadlineMs, () => startTimeout(deadlineMs));
  } catch (error) {
    await abandon(plan, to.inode);
    throw error;
  }
  switch (first.kind) {
    case "started":
      return first.started;
    case "failed":
      throw failureError(plan, first.failed);
    case "exited":
      throw new GantryError("internal", "the monitor reported an exit before a start");
    default:
      throw first.error ?? new GantryError("internal", "the monitor ended before the container started");
  }
}

/** Kills a monitor that hangs, and its child, and removes the cgroups that its plan made. */
async function abandon(plan: Plan, inode: number): Promise<void> {
  killHoldersOfSocket(inode);
  for (const step of plan.teardown) if (step.do === "remove-cgroup") await removeCgroupDir(step.dir);
}

function startTimeout(deadlineMs: number): GantryError {
  return new GantryError(
    "timeout",
    `the container did not start within ${deadlineMs / 1000} s; it was killed`,
    {
      hint: "a mount of a network file system or a full cgroup may hang; see: dmesg",
    },
  );
}
