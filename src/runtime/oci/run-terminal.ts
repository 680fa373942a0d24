/** `gantry-oci run` of a container with a terminal: ours is relayed to it, raw. */
import { GantryError } from "../../lib/index.ts";
import type { AttachSession } from "../attach-session.ts";
import type { Exited } from "../frames.ts";
import type { Plan, MonitorOptions } from "../plan-step.ts";
import { Runtime } from "../runtime.ts";
import type { Sys } from "../../kernel/index.ts";
import type { Beginning } from "./begin.ts";

/** Starts the container below a monitor; what is returned relays until the end and gives the exit code. */
export async function launchOnTerminal({
  sys,
  dir,
  plan,
  options,
  stored,
}: Beginning): Promise<() => Promise<number>> {
  const { session, process } = await launchSession(sys, plan, options);
  dir.write({ ...stored, process });
  return () => relay(sys, session);
}

/** Launches with one attached session of our terminal's size. */
export async function launchSession(
  sys: Sys,
  plan: Plan,
  options: MonitorOptions,
): Promise<{
  readonly session: AttachSession;
  readonly process: { readonly pid: number; readonly startTime: string };
}> {
  const launched = await new Runtime(sys).launch({
    plan,
    options: { ...options, terminal: sizeOf(options), stdin: { once: true }, noLogRelay: true },
    attach: [{ stdin: true, stdout: true, stderr: true }],
  });
  const [session] = launched.attached;
  if (session === undefined) throw new GantryError("internal", "the monitor gave no session");
  launched.control.close();
  return { session, process: { pid: launched.started.pid, startTime: launched.started.startTime } };
}

function sizeOf({ terminal }: MonitorOptions): { readonly rows: number; readonly cols: number } {
  if (terminal !== undefined && terminal.rows > 0 && terminal.cols > 0) return terminal;
  return { rows: process.stdout.rows ?? 24, cols: process.stdout.columns ?? 80 };
}

/** Copies both ways until the session ends. */
export async function relay(sys: Sys, session: AttachSession): Promise<number> {
  const { stdin, stdout } = process;
  const onInput = (bytes: Uint8Array): void => {
    stdin.pause();
    // "unavailable": the session has ended, which onEnd tells.
    void session.write(bytes).then(
      () => stdin.resume(),
      () => {},
    );
  };
  const onEnd = (): void => session.endStdin();
  const onResize = (): void => session.resize(stdout.rows ?? 24, stdout.columns ?? 80);
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    // The stream's raw mode still adds carriage returns; the container's terminal has done that.
    sys.passOutput(0);
  }
  stdin.on("data", onInput);
  stdin.on("end", onEnd);
  stdout.on("resize", onResize);
  const exited = await new Promise<Exited | undefined>((resolve) => {
    session.begin({ onOutput: (_stream, bytes) => writeOut(bytes), onEnd: resolve });
  });
  stdout.off("resize", onResize);
  stdin.off("data", onInput);
  stdin.pause();
  if (stdin.isTTY) stdin.setRawMode(false);
  if (exited === undefined)
    throw new GantryError("unavailable", "the monitor ended without saying how the container ended");
  return exited.exitCode;
}

function writeOut(bytes: Uint8Array): Promise<void> | undefined {
  if (process.stdout.write(bytes)) return undefined;
  return new Promise((resolve) => process.stdout.once("drain", () => resolve()));
}
