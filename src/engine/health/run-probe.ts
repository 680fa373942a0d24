/** One probe: an exec whose exit code counts and whose output is kept, killed when it takes too long. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { ProbeResult } from "../container.ts";
import type { Execs } from "../execs/execs.ts";
import { ProbeOutput, type ProbePlan } from "./health-state.ts";

const noAnswer = -1;
/** What a probe has said comes with its end, unless something that it has started holds its output open. */
const outputDeadlineMs = 500;

/** @param signal aborted: the probe is killed and says nothing, undefined */
export async function runProbe(
  execs: Execs,
  containerId: string,
  plan: ProbePlan,
  signal: AbortSignal,
): Promise<ProbeResult | undefined> {
  const startMs = Date.now();
  const output = new ProbeOutput();
  const { id } = execs.create(containerId, {
    cmd: plan.command,
    env: [],
    user: "",
    workingDir: "",
    tty: false,
    privileged: false,
    attachStdin: false,
    attachStdout: true,
    attachStderr: true,
    detachKeys: "",
  });
  try {
    const attach = { stdin: false, stdout: true, stderr: true };
    const { session } = await execs.start(id, { attach, rows: 0, cols: 0 });
    const silent = Promise.withResolvers<void>();
    session?.begin({ onOutput: (_, bytes) => void output.add(bytes), onEnd: () => silent.resolve() });
    const kill = (): void => execs.kill(id);
    signal.addEventListener("abort", kill, { once: true });
    const exited = await within(execs.exited(id), plan.timeoutMs);
    signal.removeEventListener("abort", kill);
    if (signal.aborted) return undefined;
    if (exited !== undefined) await within(silent.promise, outputDeadlineMs);
    session?.close();
    if (exited !== undefined)
      return { startMs, endMs: Date.now(), exitCode: exited.exitCode, output: output.toString() };
    execs.kill(id);
    const said = output.toString();
    const late = `Health check exceeded timeout (${plan.timeoutMs / 1000}s)`;
    return {
      startMs,
      endMs: Date.now(),
      exitCode: noAnswer,
      output: said === "" ? late : `${late}: ${said}`,
    };
  } catch (thrown) {
    const error = toGantryError(thrown);
    // The container has ended or is frozen: that says nothing of its health.
    if (signal.aborted || error.code === "conflict" || error.code === "not-found") return undefined;
    return { startMs, endMs: Date.now(), exitCode: exitCodeOf(error), output: error.message };
  }
}

/** As a shell would have it: a command that cannot be run has failed. */
function exitCodeOf(error: GantryError): number {
  if (error.code === "command-not-found") return 127;
  return error.code === "command-not-executable" ? 126 : noAnswer;
}

/** Undefined when it takes longer. */
async function within<T>(ended: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([ended, late]);
  } finally {
    clearTimeout(timer);
  }
}
