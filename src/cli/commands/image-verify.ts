/** gantry image verify: hashes what the engine has on disk again. */
import type { CommandSpec, Invocation } from "../command.ts";
import { configHeader } from "../connection/credentials.ts";
import { humanSize } from "../format/human.ts";
import { print, printError } from "../output.ts";
import { isTerminal } from "../session/terminal.ts";
import { failureOf, jsonLines } from "../connection/json-stream.ts";

interface Damaged {
  readonly kind: string;
  readonly digest: string;
  readonly state: string;
  readonly message?: string;
}

export const verify: CommandSpec = {
  usage: "[OPTIONS] [IMAGE...]",
  summary: "Check that images on disk are what their digests say",
  about:
    "Hashes configs, manifests, archives and unpacked layers again. Exit code 1 when something is damaged and stays so.",
  examples: [
    ["gantry image verify", "all images"],
    ["gantry image verify --repair registry.example.com/app:1", "fetch what is damaged from its registry"],
  ],
  flags: [
    { name: "quiet", short: "q", kind: "bool", help: "Print only what is damaged" },
    { name: "repair", kind: "bool", help: "Fetch what is damaged from the registry of its image" },
  ],
  args: [0, Infinity],
  completes: "images",
  run: verifyImages,
};

async function verifyImages({ flags, args, engine }: Invocation): Promise<number> {
  const repair = flags.bool("repair");
  const quiet = flags.bool("quiet");
  const response = await engine.request("POST", "/gantry/images/verify", {
    query: { names: args, repair },
    headers: repair ? await configHeader() : {},
  });
  const live = !quiet && isTerminal(2);
  let report: { Items?: number; Bytes?: number; Damaged?: readonly Damaged[] } = {};
  for await (const message of jsonLines(response)) {
    const failure = failureOf(message);
    if (failure !== undefined) throw failure;
    if (message.aux !== undefined) report = message.aux as typeof report;
    else if (live) await printError(`\r\x1b[2K${message.id ?? ""}  ${message.status ?? ""}`);
  }
  if (live) await printError("\r\x1b[2K");
  const damaged = report.Damaged ?? [];
  for (const { kind, digest, state, message } of damaged)
    await print(`${kind} ${digest}: ${state}${message === undefined ? "" : `: ${message}`}\n`);
  const left = damaged.filter(({ state }) => state !== "repaired").length;
  if (!quiet)
    await print(
      `${report.Items ?? 0} checked (${humanSize(report.Bytes ?? 0)}), ${damaged.length - left} repaired, ${left} damaged\n`,
    );
  return left === 0 ? 0 : 1;
}
