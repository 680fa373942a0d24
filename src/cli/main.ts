/** The entry of the command line: global flags, then one command. Loads nothing but what that command needs. */
import type { CommandSpec, Globals, Invocation } from "./command.ts";
import { findCommand } from "./commands.ts";
import { Engine } from "./connection/engine.ts";
import { BrokenPipeError, CliError, FlagError } from "./errors.ts";
import { globalFlags } from "./flags/global-flags.ts";
import { type Parsed, parseFlags } from "./flags/parse-flags.ts";
import { print, printError } from "./output.ts";

/** The exit code a shell shows for a program that a closed pipe ended. */
const brokenPipe = 141;

/** Runs the command line `words` (without the program's name) and returns the exit code. */
export async function main(words: readonly string[]): Promise<number> {
  try {
    return await dispatch(words);
  } catch (error) {
    if (error instanceof BrokenPipeError) return brokenPipe;
    return fail(toCliError(error), 1);
  }
}

/** Anything thrown as something to print; a bug of ours shows where it happened. */
function toCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  // Errors of the system have a code: a connection that was reset, a file that cannot be read.
  if (error instanceof Error && "code" in error) return new CliError(error.message);
  return new CliError(
    `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    { exitCode: 125 },
  );
}

async function dispatch(words: readonly string[]): Promise<number> {
  const global = await parseGlobals(words);
  if (typeof global === "number") return global;
  if (global.flags.bool("version")) {
    const { versionLine } = await import("./version.ts");
    await print(`${versionLine}\n`);
    return 0;
  }
  const config = global.flags.text("config");
  // Who reads docker's configuration finds it there.
  if (config !== "") process.env["DOCKER_CONFIG"] = config;
  const globals: Globals = {
    host: global.flags.text("host"),
    context: global.flags.text("context"),
    tls: {
      use: global.flags.bool("tls"),
      verify: global.flags.bool("tlsverify"),
      ca: global.flags.text("tlscacert"),
      cert: global.flags.text("tlscert"),
      key: global.flags.text("tlskey"),
    },
    stateGiven: global.flags.has("state"),
    state: global.flags.text("state", "/run/gantry").replace(/(?<=.)\/+$/, ""),
    root: global.flags.text("root"),
    autostart: !global.flags.bool("no-autostart"),
    debug: global.flags.bool("debug"),
  };
  if (global.help || global.args.length === 0) return showHelp([]);
  if (global.args[0] === "help") return showHelp(global.args.slice(1));
  const found = findCommand(global.args);
  if ("unknown" in found) return unknownCommand(found.unknown, found.depth);
  if ("group" in found) return showHelp(found.path);
  const spec = await found.load();
  return runCommand(spec, found.path, found.rest, globals);
}

async function parseGlobals(words: readonly string[]): Promise<Parsed | number> {
  try {
    return parseFlags(globalFlags, words, { stopAtArgument: true });
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    await printError(
      `${error.message}\n\nUsage:  gantry [OPTIONS] COMMAND [ARG...]\n\nRun 'gantry --help' for more information\n`,
    );
    return 125;
  }
}

async function showHelp(path: readonly string[]): Promise<number> {
  const { help } = await import("./help.ts");
  const text = await help(path);
  if (text === undefined) return unknownCommand(path, path.length);
  await print(text);
  return 0;
}

async function unknownCommand(path: readonly string[], depth: number): Promise<number> {
  const { explainUnknown } = await import("./unknown-command.ts");
  await printError(explainUnknown(path, depth));
  return 1;
}

async function runCommand(
  spec: CommandSpec,
  path: readonly string[],
  rest: readonly string[],
  globals: Globals,
): Promise<number> {
  const name = `gantry ${path.join(" ")}`;
  const usage = `Usage:  ${name}${spec.usage === "" ? "" : ` ${spec.usage}`}`;
  let parsed: Parsed;
  try {
    parsed = parseFlags(spec.flags, rest, { stopAtArgument: spec.stopAtArgument === true });
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    await printError(`${error.message}\n\n${usage}\n\nRun '${name} --help' for more information\n`);
    return 125;
  }
  if (parsed.help) return showHelp(path);
  const wrong = wrongCount(parsed.args.length, spec.args);
  if (wrong !== undefined) {
    await printError(`gantry: '${name}' ${wrong}\n\n${usage}\n\nRun '${name} --help' for more information\n`);
    return 1;
  }
  const engine = await Engine.open(globals);
  const code = await runSpec(spec, { flags: parsed.flags, args: parsed.args, globals, path, engine });
  if (engine.close() || spec.readsKeyboard === true) process.exit(code);
  return code;
}

async function runSpec(spec: CommandSpec, call: Invocation): Promise<number> {
  try {
    return await spec.run(call);
  } catch (thrown) {
    const error = call.engine.explained(thrown);
    if (error instanceof BrokenPipeError) return brokenPipe;
    return fail(toCliError(error), spec.failure ?? 1);
  }
}

const plural = (n: number): string => (n === 1 ? "argument" : "arguments");

/** Docker's words for a wrong number of arguments; undefined when it is right. */
function wrongCount(count: number, [least, most]: readonly [number, number]): string | undefined {
  if (count >= least && count <= most) return undefined;
  if (most === 0) return "accepts no arguments";
  if (least === most) return `requires ${least} ${plural(least)}`;
  if (most === Infinity) return `requires at least ${least} ${plural(least)}`;
  if (least === 0) return `requires at most ${most} ${plural(most)}`;
  return `requires at least ${least} and at most ${most} ${plural(most)}`;
}

async function fail(error: CliError, exitCode: number): Promise<number> {
  const hint = error.hint === undefined ? "" : `hint: ${error.hint}\n`;
  if (error.message !== "") await printError(`${error.bare ? "" : "gantry: "}${error.message}\n${hint}`);
  return error.exitCode ?? exitCode;
}
