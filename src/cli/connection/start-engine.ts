/** Starts an engine in the background and waits until it answers. */
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import type { Globals } from "../command.ts";
import { CliError } from "../errors.ts";
import { selfCommand } from "../../lib/index.ts";
import { printError } from "../output.ts";

const deadlineMs = 10_000;

/** @throws {CliError} when this may not or could not be done */
export async function startEngine(globals: Globals): Promise<void> {
  if (!globals.autostart) {
    throw new CliError(`no engine is running at ${globals.state}/engine.sock`, {
      hint: "start one with: gantry engine (or leave out --no-autostart)",
    });
  }
  if (process.getuid?.() !== 0) {
    throw new CliError(`no engine is running at ${globals.state}/engine.sock, and only root can start one`, {
      hint: "run this command with sudo, or start the engine as root with: gantry engine",
    });
  }
  mkdirSync(globals.state, { recursive: true, mode: 0o711 });
  const logPath = `${globals.state}/engine.log`;
  const log = openSync(logPath, "a", 0o600);
  const logStart = statSync(logPath).size;
  const words = ["engine", "--state", globals.state];
  if (globals.root !== "") words.push("--root", globals.root);
  if (globals.debug) words.push("--debug");
  const child = Bun.spawn(selfCommand(...words), {
    cwd: "/",
    detached: true,
    stdio: ["ignore", "pipe", log],
  });
  closeSync(log);
  const outcome = await firstOf(child);
  if (outcome !== "ready") {
    if (outcome === "late") child.kill("SIGKILL");
    const last = lastError(readFileSync(logPath, "utf8").slice(logStart));
    const what =
      outcome === "late" ? `did not become ready within ${deadlineMs / 1000} s` : "could not start";
    throw new CliError(`the engine ${what}${last === "" ? "" : `: ${last}`}`, {
      hint: `its log is ${logPath}`,
    });
  }
  child.unref();
  await printError(`gantry: no engine was running; started one (pid ${child.pid}, log ${logPath})\n`);
}

/** Waits for the line `ready`, the engine's end, or the deadline. */
async function firstOf(child: Bun.Subprocess<"ignore", "pipe", number>): Promise<"ready" | "ended" | "late"> {
  let timer: Timer | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), deadlineMs);
  });
  const ready = (async (): Promise<"ready" | "ended"> => {
    let text = "";
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      text = (text + piece).slice(-4096);
      if (/^ready$/m.test(text)) return "ready";
    }
    return "ended";
  })();
  const outcome = await Promise.race([ready, late]);
  clearTimeout(timer);
  return outcome;
}

/** The last complaint in what the engine wrote: of a JSON line of level error, of a plain line `error: …`, else the last line. */
export function lastError(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  for (const line of lines.toReversed()) {
    const complaint = line.startsWith("{") ? messageOfLine(line) : /^(?:error|gantry): (.*)/.exec(line)?.[1];
    if (complaint !== undefined) return complaint;
  }
  return lines.at(-1)?.trim().slice(0, 400) ?? "";
}

function messageOfLine(line: string): string | undefined {
  try {
    const entry = JSON.parse(line) as { level?: unknown; message?: unknown; error?: unknown };
    const message = entry.message ?? entry.error;
    return entry.level === "error" && typeof message === "string" ? message : undefined;
  } catch {
    // A line that was cut off says nothing.
    return undefined;
  }
}
