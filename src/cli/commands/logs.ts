/** gantry logs. */
import type { CommandSpec, Invocation } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { copyOutput } from "../connection/output-stream.ts";
import { CliError } from "../errors.ts";
import { parseDuration } from "../flags/flag.ts";

export const logs: CommandSpec = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Fetch the logs of a container",
  aliases: ["container logs", "logs"],
  examples: [
    ["gantry logs -f --tail 20 web", "the last lines, and what comes"],
    ["gantry logs --since 10m -t web", "the last ten minutes, with times"],
  ],
  flags: [
    { name: "details", kind: "bool", help: "Print extra attributes" },
    { name: "follow", short: "f", kind: "bool", help: "Go on with new output" },
    { name: "since", kind: "string", help: "Begin at a time (2026-01-02T13:23:37Z) or an age (42m)" },
    { name: "tail", short: "n", kind: "string", preset: "all", help: "Number of lines from the end" },
    { name: "timestamps", short: "t", kind: "bool", help: "Print times" },
    { name: "until", kind: "string", help: "End at a time (2026-01-02T13:23:37Z) or an age (42m)" },
  ],
  args: [1, 1],
  completes: "containers",
  run: fetchLogs,
};

async function fetchLogs({ flags, args: [name = ""], engine }: Invocation): Promise<number> {
  const now = Date.now();
  const response = await engine.request("GET", `/containers/${segment(name)}/logs`, {
    query: {
      stdout: true,
      stderr: true,
      follow: flags.bool("follow"),
      timestamps: flags.bool("timestamps"),
      details: flags.bool("details"),
      tail: flags.text("tail", "all"),
      since: timeQuery("since", flags.text("since"), now),
      until: timeQuery("until", flags.text("until"), now),
    },
  });
  await copyOutput(response, response.headers.get("content-type")?.includes("raw-stream") ?? false);
  return 0;
}

/** Seconds since 1970 with fraction, from a time, an age or such seconds; undefined when empty. */
export function timeQuery(flag: string, text: string, nowMs: number): string | undefined {
  if (text === "") return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  const date = /^\d{4}-\d{2}-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d+)?)?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(text);
  if (date !== null) return dateSeconds(flag, text, date);
  try {
    return (nowMs / 1000 - parseDuration(text) / 1e9).toFixed(9);
  } catch {
    throw invalid(flag, text);
  }
}

function dateSeconds(
  flag: string,
  text: string,
  [, time, minutes, seconds, fraction, zone]: RegExpExecArray,
): string {
  // Date.parse wants hours with minutes; a missing part is zero, a missing zone is ours.
  const day = text.slice(0, 10);
  const clock =
    time === undefined
      ? "T00:00:00"
      : `T${time.slice(1, 3)}${minutes?.slice(0, 3) ?? ":00"}${seconds?.slice(0, 3) ?? ":00"}`;
  const ms = Date.parse(`${day}${clock}${zone ?? ""}`);
  if (Number.isNaN(ms)) throw invalid(flag, text);
  return `${ms / 1000}${fraction ?? ".000000000"}`;
}

function invalid(flag: string, text: string): CliError {
  return new CliError(
    `invalid value for ${JSON.stringify(flag)}: ${JSON.stringify(text)} is neither a time nor an age`,
    {
      hint: "write a time such as 2026-01-02T13:23:37Z or an age such as 42m",
    },
  );
}
