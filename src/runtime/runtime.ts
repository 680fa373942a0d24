/** The engine's hand on gantry-init: starts monitors, and finds them again. */
import { fstatSync } from "node:fs";
import { GantryError } from "../lib/index.ts";
import { initProgram, type Sys } from "../kernel/index.ts";
import { Attached, type AttachSession } from "./attach-session.ts";
import { removeCgroupDir } from "./cgroup-remove.ts";
import { Channel } from "./channel.ts";
import { Control, type FirstWord, type MonitorConnection } from "./control.ts";
import { withDeadline } from "./deadline.ts";
import { encodePlan } from "./encode-plan.ts";
import { failureError } from "./failure.ts";
import { helloFrame, type Started } from "./frames.ts";
import { killHoldersOfSocket } from "./kill-holders.ts";
import type { AttachStreams, MonitorOptions, Plan } from "./plan-step.ts";

const startDeadlineMs = 30_000;
const answerDeadlineMs = 10_000;

export interface LaunchRequest {
  readonly plan: Plan;
  /** `attach` and `holdFds` of the options are filled in from the fields below. */
  readonly options: MonitorOptions;
  /** Sessions that exist from the first byte on. */
  readonly attach?: readonly AttachStreams[];
  /** Kept open by the monitor until the container's end (reserved ports). The caller still closes its own. */
  readonly holdFds?: readonly number[];
}

export interface Launched {
  readonly started: Started;
  readonly control: MonitorConnection;
  /** In the order asked for; each reads only after its `begin`. */
  readonly attached: readonly AttachSession[];
}

export class Runtime {
  readonly #sys: Sys;

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  /**
   * Spawns a monitor and hands the plan over. Resolves when the container's program runs.
   * @throws {GantryError} naming the step that failed; "command-not-found" and "command-not-executable" when the program
   * could not be run; "timeout" after 30 s, when the monitor is killed and its cgroups are removed
   */
  async launch(request: LaunchRequest): Promise<Launched> {
    const { plan, attach = [], holdFds = [] } = request;
    const bytes = encodePlan(plan, { ...request.options, attach, holdFds: holdFds.length });
    const near: number[] = [];
    const far: number[] = [];
    let inode: number;
    try {
      for (let i = 0; i <= attach.length; i++) {
        const [here, there] = this.#sys.socketpair();
        near.push(here);
        far.push(there);
      }
      inode = fstatSync(far[0] ?? -1).ino;
      this.#spawn([...far, ...holdFds]);
    } catch (error) {
      for (const fd of near) this.#sys.close(fd);
      throw error;
    } finally {
      for (const fd of far) this.#sys.close(fd);
    }
    const [controlChannel, ...channels] = await adoptAll(near);
    if (controlChannel === undefined) throw new GantryError("internal", "no control connection");
    const attached = channels.map((channel) => new Attached(channel));
    const control = new Control(controlChannel);
    try {
      const started = await this.#handOver(plan, bytes, { control, channel: controlChannel, inode });
      return { started, control, attached };
    } catch (error) {
      for (const session of attached) session.close();
      control.close();
      throw error;
    }
  }

  /**
   * Connects to a living monitor; resolves when it has said whether its process runs.
   * @throws {GantryError} "unavailable" when no monitor is there, "timeout" after 10 s
   */
  async connect(socketPath: string): Promise<MonitorConnection> {
    const channel = await this.#hello(socketPath, undefined);
    const control = new Control(channel);
    const first = await withDeadline(control.first, answerDeadlineMs, () => silent(socketPath)).catch(
      (error) => {
        control.close();
        throw error;
      },
    );
    if (first.kind === "started" || first.kind === "exited") return control;
    control.close();
    throw new GantryError("unavailable", `the monitor at ${socketPath} closed the connection`);
  }

  /** @throws {GantryError} as `connect` */
  async attach(socketPath: string, streams: AttachStreams): Promise<AttachSession> {
    return new Attached(await this.#hello(socketPath, streams));
  }

  async #hello(socketPath: string, streams: AttachStreams | undefined): Promise<Channel> {
    const opening = Channel.connect(socketPath);
    const channel = await withDeadline(opening, answerDeadlineMs, () => silent(socketPath));
    await withDeadline(channel.write(helloFrame(streams, true)), answerDeadlineMs, () =>
      silent(socketPath),
    ).catch((error) => {
      channel.close();
      throw error;
    });
    return channel;
  }

  #spawn(fds: readonly number[]): void {
    const { status } = this.#sys.spawn({
      file: initProgram(this.#sys),
      argv: ["gantry-init", "monitor"],
      env: [],
      fds: [-1, -1, -1, ...fds],
      wait: true,
    });
    if (status !== 0)
      throw new GantryError("internal", `gantry-init monitor ended with status ${status ?? "unknown"}`);
  }

  async #handOver(
    plan: Plan,
    bytes: Uint8Array,
    to: { readonly control: Control; readonly channel: Channel; readonly inode: number },
  ): Promise<Started> {
    // A write that fails means that the monitor has closed its end; what it said before, or that it went, is `first`.
    to.channel.write(bytes).catch(() => {});
    let first: FirstWord;
    try {
      first = await withDeadline(to.control.first, startDeadlineMs, startTimeout);
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
}

async function adoptAll(fds: readonly number[]): Promise<Channel[]> {
  return Promise.all(fds.map((fd) => Channel.adopt(fd)));
}

/** Kills a monitor that hangs, and its child, and removes the cgroups that its plan made. */
async function abandon(plan: Plan, inode: number): Promise<void> {
  killHoldersOfSocket(inode);
  for (const step of plan.teardown) if (step.do === "remove-cgroup") await removeCgroupDir(step.dir);
}

function startTimeout(): GantryError {
  return new GantryError(
    "timeout",
    `the container did not start within ${startDeadlineMs / 1000} s; it was killed`,
    {
      hint: "a mount of a network file system or a full cgroup may hang; see: dmesg",
    },
  );
}

function silent(socketPath: string): GantryError {
  return new GantryError(
    "timeout",
    `the monitor at ${socketPath} did not answer within ${answerDeadlineMs / 1000} s`,
  );
}
