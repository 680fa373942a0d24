/** Starts gantry-init in the mode for command lines: the container has the caller's stdio. */
import { fstatSync } from "node:fs";
import { initProgram, type Sys } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import { Channel } from "../channel.ts";
import { Control, type MonitorConnection } from "../control.ts";
import { encodePlan } from "../encode-plan.ts";
import type { Started } from "../frames.ts";
import { handOver } from "../hand-over.ts";
import type { MonitorOptions, Plan } from "../plan-step.ts";

export interface RunRequest {
  readonly plan: Plan;
  readonly options: MonitorOptions;
  /** How many of our fds from 3 on the container gets. */
  readonly preserveFds: number;
}

export interface Running {
  readonly started: Started;
  readonly control: MonitorConnection;
  /** The gantry-init process; it passes on the signals it gets. */
  readonly runnerPid: number;
}

/** @throws {GantryError} naming the step that failed */
export async function launchRun(sys: Sys, request: RunRequest): Promise<Running> {
  const preserveFds = request.preserveFds;
  const bytes = encodePlan(request.plan, { ...request.options, ...(preserveFds > 0 ? { preserveFds } : {}) });
  const preserved = Array.from({ length: preserveFds }, (_, index) => 3 + index);
  for (const fd of preserved) assertOpen(fd);
  const [near, far] = sys.socketpair();
  let runnerPid: number;
  let inode: number;
  try {
    inode = fstatSync(far).ino;
    const spawned = sys.spawn({
      file: initProgram(sys),
      argv: ["gantry-init", "run"],
      env: [],
      fds: [0, 1, 2, far, ...preserved],
      wait: false,
    });
    runnerPid = spawned.pid;
  } catch (error) {
    sys.close(near);
    throw error;
  } finally {
    sys.close(far);
  }
  const channel = await Channel.adopt(near);
  const control = new Control(channel);
  try {
    const started = await handOver(request.plan, bytes, { control, channel, inode });
    return { started, control, runnerPid };
  } catch (error) {
    control.close();
    throw error;
  }
}

function assertOpen(fd: number): void {
  try {
    fstatSync(fd);
  } catch (error) {
    throw new GantryError("invalid", `--preserve-fds: file descriptor ${fd} is not open`, { cause: error });
  }
}
