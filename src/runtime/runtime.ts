/** The engine's hand on gantry-init: starts monitors, and finds them again. */
import { fstatSync } from "node:fs";
import { GantryError } from "../lib/index.ts";
import { initProgram, type Sys } from "../kernel/index.ts";
import { Attached, type AttachSession } from "./attach-session.ts";
import { Channel } from "./channel.ts";
import { Control, type MonitorConnection } from "./control.ts";
import { withDeadline } from "./deadline.ts";
import { encodePlan } from "./encode-plan.ts";
import { helloFrame, type Started } from "./frames.ts";
import { handOver } from "./hand-over.ts";
import type { AttachStreams, MonitorOptions, Plan } from "./plan-step.ts";

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
      const started = await handOver(plan, bytes, { control, channel: controlChannel, inode });
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
    const channel = await withDeadline(opening, answerDeadlineMs, () => silent(socketPath)).catch((error) => {
      // An answer that comes too late is hung up on; a refusal has been reported already.
      void opening.then((late) => late.close()).catch(() => {});
      throw error;
    });
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
}

async function adoptAll(fds: readonly number[]): Promise<Channel[]> {
  return Promise.all(fds.map((fd) => Channel.adopt(fd)));
}

function silent(socketPath: string): GantryError {
  return new GantryError(
    "timeout",
    `the monitor at ${socketPath} did not answer within ${answerDeadlineMs / 1000} s`,
  );
}
