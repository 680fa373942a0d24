/** gantry image bootstrap. */
import type { CommandSpec, Invocation } from "../command.ts";
import { failureOf, jsonLines } from "../connection/json-stream.ts";
import { print, printError } from "../output.ts";
import { ProgressLine, stderrIsTerminal } from "../progress.ts";

export const bootstrap: CommandSpec = {
  usage: "[OPTIONS] busybox|debian",
  summary: "Make a base image from packages of this machine's distribution",
  about:
    "busybox: the statically linked busybox of the package busybox-static.\ndebian: a minimal system, made by mmdebstrap or debootstrap from this machine's package mirror.\nNo registry is needed.",
  examples: [
    ["gantry image bootstrap busybox", "the image busybox:latest, in a second"],
    ["gantry image bootstrap debian -t base/debian:12", "a Debian under a name of your own"],
  ],
  flags: [
    { name: "quiet", short: "q", kind: "bool", help: "Print only the image's ID" },
    {
      name: "tag",
      short: "t",
      kind: "string",
      help: "Name of the image (without: busybox:latest or debian:latest)",
    },
  ],
  args: [1, 1],
  completes: "none",
  run: make,
};

async function make({ flags, args: [kind = ""], engine }: Invocation): Promise<number> {
  const quiet = flags.bool("quiet");
  const line = new ProgressLine(`Making ${kind}`, !quiet && (await stderrIsTerminal()));
  const response = await engine.request("POST", "/gantry/images/bootstrap", {
    query: { kind, t: flags.text("tag") },
  });
  try {
    for await (const message of jsonLines(response)) {
      const failure = failureOf(message);
      if (failure !== undefined) throw failure;
      const { current, total } = message.progressDetail ?? {};
      if (message.aux?.ID !== undefined) await print(quiet ? `${message.aux.ID}\n` : "");
      else if (current !== undefined) line.update(current, total);
      else if (!quiet) {
        await line.clear();
        await printError(message.stream ?? (message.status === undefined ? "" : `${message.status}\n`));
      }
    }
  } finally {
    await line.clear();
  }
  return 0;
}
