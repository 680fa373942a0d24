/** Starts gantry-init in the mode for command lines: the container has the caller's stdio. */
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import { encodePlan } from "../encode-plan.ts";
import { failureError } from "../failure.ts";
import { type Failed, type Frame, FrameParser, type Started } from "../frames.ts";
import { hookSeconds } from "../plan-hooks.ts";
import type { MonitorOptions, Plan } from "../plan-step.ts";
import { killHolders } from "./kill-holders.ts";
import { SIGKILL } from "./signals.ts";

const startDeadlineMs = 30_000;
/** What a socket that poll calls writable takes at least. */
const pieceBytes = 16 << 10;

export interface RunRequest {
  readonly plan: Plan;
  readonly options: MonitorOptions;
  /** How many of our fds from 3 on the container gets. */
  readonly preserveFds: number;
  /** A socket for the master of the terminal, when there is no --console-socket. */
  readonly console?: number;
}

export interface Running {
  readonly started: Started;
  /** Our end of the connection to gantry-init. */
  readonly control: number;
  readonly frames: FrameReader;
  /** The gantry-init process; it passes on the signals it gets. */
  readonly runnerPid: number;
}

/**
 * Resolves when the container's program runs, or waits for start.
 * @throws {GantryError} naming the step that failed; "unavailable" when gantry-init was killed and "timeout" when it hangs:
 * then its process is killed, and what it made is for the caller to clean (`LaunchError`)
 */
export function launchRun(request: RunRequest): Running {
  const { plan, console } = request;
  const bytes = encodePlan(plan, optionsOf(request));
  const preserved = Array.from({ length: request.preserveFds }, (_, index) => 3 + index);
  const [control, far] = host.socketpair();
  let runnerPid: number;
  let inode: number;
  try {
    inode = host.fstat(far).ino;
    runnerPid = host.spawn({
      file: "gantry-init",
      argv: ["gantry-init", "run"],
      env: [],
      fds: [0, 1, 2, far, ...preserved, ...(console === undefined ? [] : [console])],
    });
  } catch (error) {
    host.close(control);
    throw toGantryError(error, "start gantry-init");
  } finally {
    host.close(far);
  }
  try {
    send(control, bytes);
    const frames = new FrameReader(control);
    const started = firstWord(plan, frames);
    return { started, control, frames, runnerPid };
  } catch (error) {
    host.close(control);
    if (error instanceof LostError) end(runnerPid, inode);
    throw error;
  }
}

/** gantry-init is gone, or hangs: nobody has undone what it did. */
export class LostError extends GantryError {}

function optionsOf({ options, preserveFds, console }: RunRequest): MonitorOptions {
  return {
    ...options,
    ...(preserveFds > 0 ? { preserveFds } : {}),
    ...(console === undefined ? {} : { consoleSocket: `fd:${4 + preserveFds}` }),
  };
}

/** Frames as they come from gantry-init. */
export class FrameReader {
  readonly #fd: number;
  readonly #parser = new FrameParser();
  readonly #waiting: Frame[] = [];
  #ended = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The next frame; "late" when none came in time, "end" when gantry-init is gone. */
  next(timeoutMs: number): Frame | "late" | "end" {
    const until = host.monotonic() + timeoutMs;
    for (;;) {
      const frame = this.#waiting.shift();
      if (frame !== undefined) return frame;
      if (this.#ended) return "end";
      const chunk = this.#read(timeoutMs < 0 ? -1 : Math.max(0, until - host.monotonic()));
      if (chunk === undefined) return "late";
      if (chunk.length === 0) this.#ended = true;
      else this.#waiting.push(...this.#parser.push(chunk));
    }
  }

  #read(timeoutMs: number): Uint8Array | undefined {
    try {
      return host.read(this.#fd, 64 << 10, timeoutMs);
    } catch (error) {
      // A process that was killed before it had read everything resets the connection.
      if (isErrno(error, "ECONNRESET")) return new Uint8Array(0);
      throw error;
    }
  }
}

/** In pieces, each with a deadline: a stopped process must not stop us. */
function send(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (!host.writable(fd, startDeadlineMs)) throw hanging(startDeadlineMs);
    try {
      host.write(fd, bytes.subarray(at, at + pieceBytes));
    } catch (error) {
      // It has closed its end: what it said before, or that it went, is read next.
      if (isErrno(error, "EPIPE", "ECONNRESET")) return;
      throw error;
    }
  }
}

function firstWord(plan: Plan, frames: FrameReader): Started {
  // Hooks have time-outs of their own.
  const deadlineMs = startDeadlineMs + hookSeconds(plan) * 1000;
  const frame = frames.next(deadlineMs);
  if (frame === "late") throw hanging(deadlineMs);
  if (frame === "end")
    throw new LostError("unavailable", "gantry-init ended before the container started", {
      hint: "something killed it; look for the out-of-memory killer in: dmesg",
    });
  if (frame.type === "started") return frame.started;
  if (frame.type === "failed") throw failure(plan, frame.failed);
  const words = frame.type === "error" ? frame.message : `a frame of type ${frame.type}`;
  throw new LostError("internal", `gantry-init said, instead of whether the container started: ${words}`);
}

/** Docker's words around an error of exec are put there by dockerd itself when it calls us. */
function failure(plan: Plan, failed: Failed): GantryError {
  const error = failureError(plan, failed);
  const message = error.message.replace(/^failed to create task for container: /, "");
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  return new GantryError(error.code, message, { fields: error.fields, ...hint });
}

function hanging(deadlineMs: number): LostError {
  return new LostError(
    "timeout",
    `the container did not start within ${deadlineMs / 1000} s; it was killed`,
    { hint: "a mount of a network file system or a full cgroup may hang; see: dmesg" },
  );
}

/** gantry-init, which is our child, and the process that it made. */
function end(runnerPid: number, inode: number): void {
  try {
    host.kill(runnerPid, SIGKILL);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
  killHolders(inode);
  host.waitPid(runnerPid, 1000);
}
