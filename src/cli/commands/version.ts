/** gantry version. */
import type { CommandSpec, Invocation } from "../command.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";
import { clientApiVersion, clientVersion } from "../version.ts";
import { objectFormat } from "./list-flags.ts";

interface Component {
  readonly Name: string;
  readonly Version: string;
  readonly Details?: Readonly<Record<string, string>> | null;
}

interface ServerVersion {
  readonly Platform?: { readonly Name: string };
  readonly Components?: readonly Component[] | null;
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion: string;
  readonly Os: string;
  readonly Arch: string;
  readonly KernelVersion?: string;
  readonly GitCommit?: string;
  readonly BuildTime?: string;
}

export const version: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Show the version of client and engine",
  about: "Without an engine it prints the client's part only; it starts none.",
  flags: [objectFormat],
  args: [0, 0],
  run: show,
};

const client = {
  Version: clientVersion,
  ApiVersion: clientApiVersion,
  DefaultAPIVersion: clientApiVersion,
  Os: "linux",
  Arch: process.arch === "x64" ? "amd64" : process.arch,
  Runtime: `Bun ${Bun.version}`,
};

async function show({ flags, engine }: Invocation): Promise<number> {
  const format = flags.text("format");
  let server: ServerVersion | undefined;
  let problem: CliError | undefined;
  try {
    server = await engine.json<ServerVersion>("GET", "/version", {
      signal: AbortSignal.timeout(10_000),
      mayStart: false,
    });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    problem = error;
  }
  await print(
    format === "" ? versionText(server) : await formatted(format, { Client: client, Server: server ?? null }),
  );
  // No engine is no error here: the question was which version this is.
  if (problem !== undefined && problem.status !== 0) throw problem;
  return 0;
}

async function formatted(format: string, value: object): Promise<string> {
  const { compileFormat, runFormat } = await import("../format/objects.ts");
  return `${runFormat(compileFormat(format === "json" ? "{{json .}}" : format), value)}\n`;
}

type Line = readonly [name: string, value: string | undefined];

function block(indent: string, lines: readonly Line[]): string {
  return lines
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => `${indent}${`${name}:`.padEnd(19 - indent.length + 1)}${value ?? ""}\n`)
    .join("");
}

/** The text of `gantry version`; without a server only the client's part. Pure. */
export function versionText(server: ServerVersion | undefined): string {
  const own = block(" ", [
    ["Version", client.Version],
    ["API version", client.ApiVersion],
    ["Runtime", client.Runtime],
    ["OS/Arch", `${client.Os}/${client.Arch}`],
  ]);
  if (server === undefined) return `Client:\n${own}\nServer: not running\n`;
  const [main, ...others] = server.Components ?? [];
  const details = main?.Details ?? {};
  const engine = block("  ", [
    ["Version", server.Version],
    ["API version", `${server.ApiVersion} (minimum version ${server.MinAPIVersion})`],
    ["Git commit", server.GitCommit ?? details["GitCommit"]],
    ["Built", server.BuildTime ?? details["BuildTime"]],
    ["OS/Arch", `${server.Os}/${server.Arch}`],
    ["Kernel", server.KernelVersion ?? details["KernelVersion"]],
  ]);
  const rest = others.map(
    (component) =>
      ` ${component.Name}:\n${block("  ", [["Version", component.Version], ...Object.entries(component.Details ?? {})])}`,
  );
  const name = server.Platform?.Name ?? "";
  return `Client:\n${own}\nServer:${name === "" ? "" : ` ${name}`}\n ${main?.Name ?? "Engine"}:\n${engine}${rest.join("")}`;
}
