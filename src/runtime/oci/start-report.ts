/** What a container's process tells `start` through its fifo between being let go and running its program. */
import { GantryError } from "../../lib/index.ts";
import { errnoWords } from "../errno-words.ts";
import { stepOps } from "../encode-step.ts";
import type { OciConfig } from "../oci-types.ts";
import { defaultHookTimeout } from "../plan-hooks.ts";

const execMs = 10_000;
const maxBytes = 4096;

/**
 * Returns when the program runs: the process has closed the fifo by execve. `fd` is the fifo's reading end, the "0" read.
 * @throws {GantryError} naming the startContainer hook that failed, or the program that could not be executed; "timeout"
 */
export function awaitProgram(fd: number, config: OciConfig): void {
  const until = host.monotonic() + execMs + hookMs(config);
  let text = "";
  for (;;) {
    const left = until - host.monotonic();
    const piece = left > 0 && host.poll([fd], left).length > 0 ? host.read(fd, maxBytes, 0) : undefined;
    if (piece === undefined)
      throw new GantryError("timeout", "the container's program did not begin in time");
    if (piece.length === 0) break;
    text += new TextDecoder().decode(piece);
  }
  if (text !== "") throw startFailure(text);
}

/** "OP ERRNO CONTEXT", native/PROTOCOL.md, wait-start. */
export function startFailure(text: string): GantryError {
  const [, op = "", errno = "", context = ""] = /^(\d+) (\d+) (.*)$/s.exec(text) ?? [];
  if (Number(op) === stepOps["run-hook"]) {
    const words = context.trim().replace(/\s*\n\s*/g, "; ");
    return new GantryError(Number(errno) === 110 ? "timeout" : "canceled", `error running ${words}`);
  }
  return new GantryError("command-not-executable", `exec ${context}: ${errnoWords(Number(errno))}`);
}

function hookMs({ hooks }: OciConfig): number {
  return (hooks?.startContainer ?? []).reduce(
    (sum, { timeout = defaultHookTimeout }) => sum + timeout * 1000,
    0,
  );
}
