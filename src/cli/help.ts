/** Prints help in docker's layout: usage, summary, examples, options, commands. */
import type { CommandSpec } from "./command.ts";
import { commands, commonCount, findCommand, type Group, groups } from "./commands.ts";
import { type Flag, kinds } from "./flags/flag.ts";
import { globalFlags } from "./flags/global-flags.ts";

const columns = 80;

/** The help of the command that `path` names; undefined when there is none. */
export async function help(path: readonly string[]): Promise<string | undefined> {
  if (path.length === 0) return topHelp();
  const found = findCommand(path);
  if ("unknown" in found) return undefined;
  if ("group" in found) return groupHelp(path, found.group);
  return commandHelp(await found.load(), found.path);
}

/** The help of one command. */
export function commandHelp(spec: CommandSpec, path: readonly string[]): string {
  const parts = [
    `Usage:  gantry ${path.join(" ")}${spec.usage === "" ? "" : ` ${spec.usage}`}`,
    spec.summary,
  ];
  if (spec.about !== undefined) parts.push(spec.about);
  if (spec.aliases !== undefined)
    parts.push(`Aliases:\n  ${spec.aliases.map((a) => `gantry ${a}`).join(", ")}`);
  const shown = spec.flags.filter((flag) => flag.hidden !== true);
  if (shown.length > 0) parts.push(`Options:\n${flagLines(shown).join("\n")}`);
  if (spec.examples !== undefined) {
    parts.push(
      `Examples:\n${spec.examples.map(([command, what]) => `  # ${what}\n  ${command}`).join("\n\n")}`,
    );
  }
  return `${parts.join("\n\n")}\n`;
}

function groupHelp(path: readonly string[], group: Group): string {
  const name = path.join(" ");
  const members = Object.entries(group.members).map(([word, entry]) => line(word, entry.summary));
  return `Usage:  gantry ${name} COMMAND\n\n${group.summary}\n\nCommands:\n${members.join("\n")}\n\nRun 'gantry ${name} COMMAND --help' for more information on a command.\n`;
}

function topHelp(): string {
  const all = Object.entries(commands).map(([word, entry]) => line(word, entry.summary));
  return `Usage:  gantry [OPTIONS] COMMAND

The whole container stack in one program

Common Commands:
${all.slice(0, commonCount).join("\n")}

Management Commands:
${Object.entries(groups)
  .map(([word, group]) => line(word, group.summary))
  .join("\n")}

Commands:
${all.slice(commonCount).join("\n")}

Global Options:
${flagLines(globalFlags).join("\n")}

Examples:
  # make a small base image, run a command in it
  gantry image bootstrap busybox
  gantry run --rm busybox echo hello

  # a web server on port 8080 of this machine, its output, its end
  gantry run -d --name web -p 8080:80 busybox httpd -f
  gantry logs -f web
  gantry rm -f web

  # what exactly was asked of the kernel for it, and why
  gantry explain web

Run 'gantry COMMAND --help' for more information on a command.
`;
}

function line(word: string, summary: string): string {
  return `  ${word.padEnd(11)} ${summary}`;
}

function flagLines(flags: readonly Flag[]): string[] {
  const heads = flags.map((flag) => {
    const short = flag.short === undefined ? "    " : `-${flag.short}, `;
    const label = kinds[flag.kind].label;
    return `  ${short}--${flag.name}${label === "" ? "" : ` ${label}`}`;
  });
  const width = Math.max(...heads.map((head) => head.length)) + 3;
  return flags.map((flag, i) => {
    const text = flag.preset === undefined ? flag.help : `${flag.help} (default ${presetText(flag)})`;
    const lines = wrap(text, Math.max(24, columns - width));
    return (heads[i] ?? "").padEnd(width) + lines.join(`\n${" ".repeat(width)}`);
  });
}

function presetText(flag: Flag): string {
  return kinds[flag.kind].label === "string" ? JSON.stringify(flag.preset) : (flag.preset ?? "");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let current = "";
    for (const word of paragraph.split(" ")) {
      if (current !== "" && current.length + 1 + word.length > width) {
        lines.push(current);
        current = word;
      } else {
        current = current === "" ? word : `${current} ${word}`;
      }
    }
    lines.push(current);
  }
  return lines;
}
