/** `gantry-oci`: runc's command line on gantry's plan. */
import { GantryError } from "../../lib/index.ts";
import { type Command, commands, globalFlags } from "./commands.ts";
import { BareError, type GlobalOptions, print } from "./context.ts";
import { type ParsedFlags, parseFlags, UsageError } from "./flags.ts";
import { commandHelp, helpText, versionText } from "./help.ts";
import { reportError, setLog } from "./log.ts";
import { programName } from "./program-name.ts";
import { stateRoot } from "./state-root.ts";
import { verbOf } from "./verb-table.ts";

/** As runc wraps what these verbs throw; dockerd and containerd pass the text on. */
const prefixes: Readonly<Record<string, string>> = {
  create: "create failed: ",
  run: "run failed: ",
  exec: "exec failed: ",
};

const unknownCommandCode = 3;
const execFailedCode = 255;

/** Runs one command line and returns its exit code: the container's for run and exec, 1 (exec: 255) for an error. */
export function main(args: readonly string[]): number {
  let global: ParsedFlags;
  try {
    global = parseFlags(globalFlags, args);
    applyLog(global);
  } catch (error) {
    return fail(error, "", helpText);
  }
  const [name = "", ...rest] = global.words;
  if (global.is("version")) return told(versionText());
  if (name === "" || global.is("help")) return told(helpText());
  if (name === "help" || name === "h") return help(rest[0]);
  return runVerb(name, global, rest);
}

function runVerb(name: string, global: ParsedFlags, args: readonly string[]): number {
  const command = commandOf(name);
  if (command === undefined) return unknownCommand(name);
  let flags: ParsedFlags;
  try {
    flags = parseFlags({ ...command.flags, help: helpFlag }, args, command.stopAtWord === true);
    if (flags.is("help")) return told(commandHelp(name, command));
  } catch (error) {
    return fail(error, "", () => commandHelp(name, command));
  }
  try {
    return verbOf(name)({ global: globalOptions(global), flags });
  } catch (error) {
    const usage = error instanceof UsageError;
    fail(error, usage ? "" : prefixOf(name, error), () => commandHelp(name, command));
    return name === "exec" && !usage ? execFailedCode : 1;
  }
}

function prefixOf(name: string, error: unknown): string {
  const prefix = prefixes[name] ?? "";
  if (prefix === "" || error instanceof BareError) return "";
  return name === "exec" ? prefix : `${programName()} ${prefix}`;
}

const helpFlag = { kind: "bool", short: "h", about: "show help" } as const;

/** Not what every object has, such as "constructor". */
function commandOf(name: string): Command | undefined {
  return Object.prototype.hasOwnProperty.call(commands, name) ? commands[name] : undefined;
}

function help(name: string | undefined): number {
  if (name === undefined) return told(helpText());
  const command = commandOf(name);
  return command === undefined ? unknownCommand(name) : told(commandHelp(name, command));
}

function told(text: string): number {
  print(text);
  return 0;
}

function unknownCommand(name: string): number {
  reportError(new GantryError("invalid", `No help topic for '${name}'`), "");
  return unknownCommandCode;
}

/** A wrong command line is answered with its help, on stdout as runc does it. */
function fail(error: unknown, prefix: string, usage: () => string): number {
  if (error instanceof UsageError)
    print(`Incorrect Usage${error.detail === "" ? "." : `: ${error.detail}`}\n\n${usage()}\n`);
  reportError(error, prefix);
  return 1;
}

function applyLog(global: ParsedFlags): void {
  const file = global.text("log") ?? "";
  const format = global.text("log-format") ?? "text";
  setLog({
    file: file === "" || file === "/dev/stderr" ? undefined : file,
    json: format === "json",
    debug: global.is("debug"),
  });
  if (format !== "json" && format !== "text" && format !== "")
    throw new GantryError("invalid", `invalid log-format: ${format}`, { hint: "use text or json" });
}

function globalOptions(global: ParsedFlags): GlobalOptions {
  return {
    root: stateRoot(global.text("root")),
    systemdCgroup: global.is("systemd-cgroup"),
    rootless: rootlessMode(global.text("rootless") ?? "auto"),
    criu: global.text("criu") ?? "criu",
    debug: global.is("debug"),
  };
}

function rootlessMode(word: string): GlobalOptions["rootless"] {
  const value = word.toLowerCase();
  if (value === "auto" || value === "") return "auto";
  if (["true", "t", "1"].includes(value)) return "true";
  if (["false", "f", "0"].includes(value)) return "false";
  throw new GantryError("invalid", `--rootless: ${JSON.stringify(word)} is not true, false or auto`);
}
