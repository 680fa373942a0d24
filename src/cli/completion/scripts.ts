/** Completion scripts, made from the catalogue of commands and their flags. */
import type { CommandSpec } from "../command.ts";
import { commands, everyCommand, everyGroup, groups } from "../commands.ts";
import { kinds } from "../flags/flag.ts";
import { globalFlags } from "../flags/global-flags.ts";

interface Described {
  readonly path: readonly string[];
  readonly spec: CommandSpec;
}

/** The script for a shell; undefined for a shell we do not know. */
export async function completionScript(shell: string): Promise<string | undefined> {
  const writers: Readonly<Record<string, (all: readonly Described[]) => string>> = { bash, zsh, fish };
  const write = Object.hasOwn(writers, shell) ? writers[shell] : undefined;
  return write?.(await describeAll());
}

async function describeAll(): Promise<readonly Described[]> {
  return Promise.all(everyCommand().map(async ([path, entry]) => ({ path, spec: await entry.load() })));
}

const flagWords = (flags: CommandSpec["flags"]): string =>
  [
    ...flags
      .filter((flag) => flag.hidden !== true)
      .flatMap((flag) => [`--${flag.name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])]),
    "--help",
  ].join(" ");

const valueFlags = (flags: CommandSpec["flags"]): string =>
  flags
    .filter((flag) => !("alone" in kinds[flag.kind]))
    .flatMap((flag) => [`--${flag.name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])])
    .join(" ");

/** Functions that answer, for a command path, its flags, its flags with values and what its arguments are. */
function tables(all: readonly Described[]): string {
  const lines = all.map(
    ({ path, spec }) =>
      `    "${path.join(" ")}") flags="${flagWords(spec.flags)}"; valued="${valueFlags(spec.flags)}"; kind=${spec.completes ?? "none"}; stop=${spec.stopAtArgument ? 1 : 0} ;;`,
  );
  const members = everyGroup().map(
    ([path, group]) => `    "${path.join(" ")}") words="${Object.keys(group.members).join(" ")}" ;;`,
  );
  return `_gantry_describe() {
  flags=""; valued=""; kind=none; stop=0
  case "$1" in
${lines.join("\n")}
  esac
}
_gantry_members() {
  words=""
  case "$1" in
${members.join("\n")}
  esac
}`;
}

function bash(all: readonly Described[]): string {
  const first = [...Object.keys(commands), ...Object.keys(groups), "help"].join(" ");
  return `# bash completion for gantry; made by: gantry completion bash
${tables(all)}
_gantry() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} i=1 path="" globals=() words flags valued kind stop count=0
  local globalvalued=" ${valueFlags(globalFlags)} "
  COMPREPLY=()
  while (( i < COMP_CWORD )) && [[ \${COMP_WORDS[i]} == -* ]]; do
    globals+=("\${COMP_WORDS[i]}")
    if [[ $globalvalued == *" \${COMP_WORDS[i]} "* ]]; then (( i++ )); globals+=("\${COMP_WORDS[i]}"); fi
    (( i++ ))
  done
  if (( i >= COMP_CWORD )); then
    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "${flagWords(globalFlags)}" -- "$cur"))
    else COMPREPLY=($(compgen -W "${first}" -- "$cur")); fi
    return
  fi
  path=\${COMP_WORDS[i]}
  while _gantry_members "$path"; [[ -n $words ]]; do
    (( i++ ))
    if (( i >= COMP_CWORD )); then COMPREPLY=($(compgen -W "$words" -- "$cur")); return; fi
    path="$path \${COMP_WORDS[i]}"
  done
  _gantry_describe "$path"
  for (( i++; i < COMP_CWORD; i++ )); do
    if [[ " $valued " == *" \${COMP_WORDS[i]} "* ]]; then (( i++ ))
    elif [[ \${COMP_WORDS[i]} != -* ]]; then (( count++ )); fi
  done
  if [[ " $valued " == *" $prev "* ]]; then COMPREPLY=($(compgen -f -- "$cur")); return; fi
  if (( stop && count > 0 )); then COMPREPLY=($(compgen -f -- "$cur")); return; fi
  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$cur")); return; fi
  case $kind in
    none) ;;
    files) COMPREPLY=($(compgen -f -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" "\${globals[@]}" completion names "$kind" 2>/dev/null)" -- "$cur"))
       type __ltrim_colon_completions &>/dev/null && __ltrim_colon_completions "$cur" ;;
  esac
}
complete -F _gantry gantry
`;
}

/** zsh runs the bash function by its own bridge: one table, one behaviour. */
function zsh(all: readonly Described[]): string {
  return `#compdef gantry
# zsh completion for gantry; made by: gantry completion zsh
autoload -U +X bashcompinit && bashcompinit
${bash(all)}`;
}

const fishQuote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

function fish(all: readonly Described[]): string {
  const lines = ["# fish completion for gantry; made by: gantry completion fish", "complete -c gantry -f"];
  const top = [...Object.entries(commands), ...Object.entries(groups)];
  for (const [name, { summary }] of top)
    lines.push(`complete -c gantry -n __fish_use_subcommand -a ${name} -d ${fishQuote(summary)}`);
  for (const [path, group] of everyGroup()) {
    const members = Object.keys(group.members).join(" ");
    const inside = path.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    for (const [member, { summary }] of Object.entries(group.members)) {
      lines.push(
        `complete -c gantry -n '${inside}; and not __fish_seen_subcommand_from ${members}' -a ${member} -d ${fishQuote(summary)}`,
      );
    }
  }
  for (const { path, spec } of all) {
    const condition = fishQuote(path.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and "));
    for (const flag of spec.flags) {
      if (flag.hidden === true) continue;
      const short = flag.short === undefined ? "" : ` -s ${flag.short}`;
      const value = "alone" in kinds[flag.kind] ? "" : " -r";
      lines.push(
        `complete -c gantry -n ${condition}${short} -l ${flag.name}${value} -d ${fishQuote(flag.help.split("\n")[0] ?? "")}`,
      );
    }
    if (spec.completes === "files") lines.push(`complete -c gantry -n ${condition} -F`);
    else if (spec.completes !== undefined && spec.completes !== "none") {
      lines.push(
        `complete -c gantry -n ${condition} -a '(gantry completion names ${spec.completes} 2>/dev/null)'`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
