/** gantry system doctor. */
import type { CommandSpec, Invocation } from "../command.ts";
import { type Finding, eyes, fail, ok, warn } from "../doctor/finding.ts";
import { hostChecks } from "../doctor/host-checks.ts";
import { kernelChecks } from "../doctor/kernel-checks.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";

const answerMs = 5000;

export const doctor: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Look for what is wrong with this machine and the engine, and tell the fix",
  about:
    "Changes nothing, and needs no engine. Exits with 1 when something is wrong that keeps containers from working.",
  examples: [["gantry system doctor --format json", "for programs"]],
  flags: [{ name: "format", kind: "string", preset: "text", help: "text or json" }],
  args: [0, 0],
  run: examine,
};

async function examine(call: Invocation): Promise<number> {
  const format = call.flags.text("format", "text");
  if (format !== "text" && format !== "json")
    throw new CliError(`there is no format ${format}`, { hint: "text or json" });
  const root = call.globals.root || "/var/lib/gantry";
  const findings = [...kernelChecks(eyes), ...hostChecks(eyes, root), await engineCheck(call)];
  await print(
    format === "json" ? `${JSON.stringify(findings, undefined, 2)}\n` : findings.map(line).join(""),
  );
  return findings.some(({ level }) => level === "FAIL") ? 1 : 0;
}

function line({ level, area, message, fix }: Finding): string {
  return `${level.padEnd(5)}${area.padEnd(10)}${message}\n${fix === undefined ? "" : `${" ".repeat(15)}fix: ${fix}\n`}`;
}

/** Asked without starting one. */
async function engineCheck({ globals }: Invocation): Promise<Finding> {
  const unix = globals.host === "" ? `${globals.state}/engine.sock` : globals.host.replace(/^unix:\/\//, "");
  if (!unix.startsWith("/")) return ok("engine", `is not on this machine: ${globals.host}`);
  if (!eyes.has(unix))
    return warn(
      "engine",
      `is not running: there is no socket ${unix}`,
      "systemctl start gantry, or gantry engine",
    );
  try {
    const answer = await fetch("http://engine/info", { unix, signal: AbortSignal.timeout(answerMs) });
    const { ServerVersion, ContainersRunning } = (await answer.json()) as Readonly<Record<string, unknown>>;
    return ok(
      "engine",
      `${String(ServerVersion)} answers at ${unix}, ${String(ContainersRunning)} containers run`,
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail(
      "engine",
      `does not answer at ${unix}: ${why}`,
      "see its log: journalctl -u gantry; then systemctl restart gantry (containers go on)",
    );
  }
}
