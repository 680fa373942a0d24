/** Help texts, in the sections that runc's have. Pure. */
import { type Command, commands, globalFlags } from "./commands.ts";
import { specVersion } from "./context.ts";
import type { FlagSpecs } from "./flags.ts";
import { programName } from "./program-name.ts";

export const version = "0.1.0";

/** As `gantry-oci --version` prints it. */
export function versionText(): string {
  return `${programName()} version ${versionLines()}\n`;
}

function versionLines(): string {
  return `${version}\nspec: ${specVersion}`;
}

export function helpText(): string {
  const rows = [
    ...Object.entries(commands).map(([name, { summary }]) => [name, summary] as const),
    ["help, h", "show the list of commands, or help for one"] as const,
  ];
  const name = programName();
  return `NAME:
   ${name} - Open Container Initiative runtime

${name} runs containers from bundles: directories with a file config.json and a root file system, as the
runtime-spec of the Open Container Initiative describes them. Its command line is runc's.

To run the bundle in the current directory as container web:

    # ${name} run web

USAGE:
   ${name} [global options] command [command options] [arguments...]

VERSION:
   ${versionLines()}

COMMANDS:
${table(rows)}
GLOBAL OPTIONS:
${options(globalFlags)}`;
}

export function commandHelp(name: string, command: Command): string {
  const { summary, about, example, flags, words } = command;
  const hasFlags = Object.keys(flags).length > 0;
  const usage = [programName(), name, ...(hasFlags ? ["[command options]"] : []), words].join(" ").trim();
  const meaning = words.startsWith("<container-id>")
    ? "\n\n<container-id> is the container's name, unique on this host."
    : "";
  return (
    section("NAME", `${programName()} ${name} - ${summary}`) +
    section("USAGE", `${usage}${meaning}`) +
    section("EXAMPLE", example) +
    section("DESCRIPTION", about) +
    (hasFlags ? `OPTIONS:\n${options(flags)}` : "")
  );
}

function section(title: string, text: string | undefined): string {
  return text === undefined ? "" : `${title}:\n   ${text}\n\n`;
}

function options(flags: FlagSpecs): string {
  return table(
    Object.entries(flags).map(([name, { kind, short, about = "", default: standard }]) => {
      const value = kind === "bool" ? "" : " value";
      const names = [`--${name}${value}`, ...(short === undefined ? [] : [`-${short}${value}`])].join(", ");
      return [names, standard === undefined ? about : `${about} (default: ${standard})`] as const;
    }),
  );
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, text]) => `   ${name.padEnd(width)}${text}\n`).join("");
}
