/** gantry events. */
import type { CommandSpec } from "../command.ts";
import { filtersQuery } from "../connection/engine.ts";
import { jsonLines } from "../connection/json-stream.ts";
import { compileFormat, runFormat } from "../format/objects.ts";
import { print } from "../output.ts";
import { timeQuery } from "./logs.ts";

interface EngineEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> | null };
  readonly time: number;
  /** With more digits than a number keeps: only for the clock's part below a second. */
  readonly timeNano: number;
}

export const events: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Get real time events from the engine",
  aliases: ["system events", "events"],
  examples: [
    ["gantry events --filter type=container --filter event=die", "containers that end"],
    ["gantry events --since 10m --until 0s", "the last ten minutes, and no more"],
  ],
  flags: [
    { name: "filter", short: "f", kind: "filter", help: "Show only what meets a condition (event=die …)" },
    {
      name: "format",
      kind: "string",
      help: "Format of the output:\n'json': one JSON object a line\n'TEMPLATE': a Go template for each line",
    },
    { name: "since", kind: "string", help: "Begin at a time (2026-01-02T13:23:37Z) or an age (42m)" },
    { name: "until", kind: "string", help: "End at a time (2026-01-02T13:23:37Z) or an age (42m)" },
  ],
  args: [0, 0],
  async run({ flags, engine }) {
    const now = Date.now();
    const format = flags.text("format");
    const lineOf = format === "" ? plainLine : formatted(format === "json" ? "{{json .}}" : format);
    const response = await engine.request("GET", "/events", {
      query: {
        since: timeQuery("since", flags.text("since"), now),
        until: timeQuery("until", flags.text("until"), now),
        filters: filtersQuery(flags.list("filter")),
      },
    });
    for await (const event of jsonLines(response))
      await print(`${lineOf(event as unknown as EngineEvent)}\n`);
    return 0;
  },
};

function formatted(format: string): (event: EngineEvent) => string {
  const template = compileFormat(format);
  return (event) => runFormat(template, event);
}

/** `TIME TYPE ACTION ID (name=value, …)`, as docker prints it. */
export function plainLine({ Type, Action, Actor, time, timeNano }: EngineEvent): string {
  const attributes = Object.entries(Actor.Attributes ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  const told = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  return `${localTime(time, timeNano)} ${Type} ${Action} ${Actor.ID}${told}`;
}

/** RFC 3339 in this machine's zone, nine digits behind the second. */
function localTime(seconds: number, nanoseconds: number): string {
  const offset = -new Date(seconds * 1000).getTimezoneOffset();
  const clock = new Date((seconds + offset * 60) * 1000).toISOString().slice(0, 19);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
  const fraction = String(BigInt(nanoseconds) % 1_000_000_000n).padStart(9, "0");
  return `${clock}.${fraction}${offset === 0 ? "Z" : zone}`;
}
