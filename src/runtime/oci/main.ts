/** `gantry-oci`: runc's command line on gantry's plan. A table of verbs, each loaded when it is called. */
import { GantryError, messageOf } from "../../lib/index.ts";
import { specVersion, type Verb } from "./context.ts";
import { type FlagSpec, type ParsedFlags, parseFlags } from "./flags.ts";
import { reportError } from "./log.ts";

const bool: FlagSpec = { kind: "bool" };
const text: FlagSpec = { kind: "text" };
const list: FlagSpec = { kind: "list" };

const globalFlags: Readonly<Record<string, FlagSpec>> = {
  root: text,
  log: text,
  "log-format": text,
  debug: bool,
  "systemd-cgroup": bool,
  rootless: text,
  version: { kind: "bool", short: "v" },
  help: { kind: "bool", short: "h" },
};

const startFlags: Readonly<Record<string, FlagSpec>> = {
  bundle: { kind: "text", short: "b" },
  "console-socket": text,
  "pid-file": text,
  "no-pivot": bool,
  "no-new-keyring": bool,
  "preserve-fds": text,
  "no-subreaper": bool,
};

interface VerbEntry {
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly usage: string;
  readonly summary: string;
  load(): Promise<Verb>;
}

const verbs: Readonly<Record<string, VerbEntry>> = {
  create: {
    flags: startFlags,
    usage: "[options] ID",
    summary: "create a container; its program waits for start",
    load: async () => (await import("./create.ts")).create,
  },
  delete: {
    flags: { force: { kind: "bool", short: "f" } },
    usage: "[--force] ID",
    summary: "delete what a container holds",
    load: async () => (await import("./delete.ts")).deleteContainer,
  },
  exec: {
    flags: {
      "console-socket": text,
      cwd: text,
      env: { kind: "list", short: "e" },
      tty: { kind: "bool", short: "t" },
      user: { kind: "text", short: "u" },
      "additional-gids": { kind: "list", short: "g" },
      process: { kind: "text", short: "p" },
      detach: { kind: "bool", short: "d" },
      "pid-file": text,
      "no-new-privs": bool,
      cap: { kind: "list", short: "c" },
      "preserve-fds": text,
      "ignore-paused": bool,
      "no-subreaper": bool,
    },
    usage: "[options] ID COMMAND [ARG...]",
    summary: "run a further process in a container",
    load: async () => (await import("./exec.ts")).exec,
  },
  kill: {
    flags: { all: { kind: "bool", short: "a" } },
    usage: "[--all] ID [SIGNAL]",
    summary: "send a signal (default SIGTERM) to a container's first process",
    load: async () => (await import("./kill.ts")).kill,
  },
  list: {
    flags: { format: { kind: "text", short: "f" }, quiet: { kind: "bool", short: "q" } },
    usage: "[--format table|json] [--quiet]",
    summary: "list the containers below --root",
    load: async () => (await import("./list.ts")).listContainers,
  },
  pause: {
    flags: {},
    usage: "ID",
    summary: "freeze all processes of a container",
    load: async () => (await import("./pause.ts")).pause,
  },
  plan: {
    flags: { bundle: { kind: "text", short: "b" }, format: { kind: "text", short: "f" } },
    usage: "[--bundle DIR] [--format text|json] [ID]",
    summary: "print what would be asked of the kernel, and why",
    load: async () => (await import("./plan.ts")).printPlan,
  },
  ps: {
    flags: { format: { kind: "text", short: "f" } },
    usage: "[--format table|json] ID [ps options]",
    summary: "show a container's processes",
    load: async () => (await import("./ps.ts")).ps,
  },
  resume: {
    flags: {},
    usage: "ID",
    summary: "thaw a paused container",
    load: async () => (await import("./pause.ts")).resume,
  },
  run: {
    flags: { ...startFlags, detach: { kind: "bool", short: "d" }, keep: bool },
    usage: "[options] ID",
    summary: "create and start a container",
    load: async () => (await import("./run.ts")).run,
  },
  spec: {
    flags: { bundle: { kind: "text", short: "b" }, rootless: bool },
    usage: "[--bundle DIR]",
    summary: "write a config.json to begin with",
    load: async () => (await import("./spec.ts")).spec,
  },
  start: {
    flags: {},
    usage: "ID",
    summary: "let a created container's program run",
    load: async () => (await import("./start.ts")).start,
  },
  state: {
    flags: {},
    usage: "ID",
    summary: "print a container's state as JSON",
    load: async () => (await import("./state.ts")).state,
  },
  validate: {
    flags: { bundle: { kind: "text", short: "b" } },
    usage: "[--bundle DIR]",
    summary: "print every error of a config.json with its JSON path",
    load: async () => (await import("./validate.ts")).validate,
  },
};

const defaultRoot = "/run/gantry-oci";

/** Runs one command line and returns its exit code: the container's for run and exec, 1 (exec: 255) for an error. */
export async function main(args: readonly string[]): Promise<number> {
  let global: ParsedFlags | undefined;
  let verb = "";
  try {
    global = parseFlags(globalFlags, args);
    verb = global.words[0] ?? "";
    if (global.is("version")) return await tell(`gantry-oci version 0.1.0\nspec: ${specVersion}\n`);
    if (verb === "" || verb === "help" || global.is("help")) return await tell(helpText());
    const entry = verbs[verb];
    if (entry === undefined) throw new GantryError("invalid", `No help topic for '${verb}'`);
    if (global.is("systemd-cgroup"))
      throw new GantryError("unsupported", "gantry-oci does not offer the systemd cgroup driver", {
        hint: "leave --systemd-cgroup out",
      });
    const rest = global.words.slice(1);
    if (rest[0] === "--help" || rest[0] === "-h")
      return await tell(`gantry-oci ${verb} ${entry.usage}\n  ${entry.summary}\n`);
    const flags = parseFlags({ ...entry.flags, cgroup: list }, rest);
    const run = await entry.load();
    return await run({ global: { root: global.text("root") ?? defaultRoot }, flags });
  } catch (error) {
    await reportError(error, {
      prefix: prefixes[verb] ?? "",
      log: global?.text("log"),
      json: global?.text("log-format") === "json",
    });
    return verb === "exec" && messageOf(error) !== "" ? 255 : 1;
  }
}

/** As runc wraps what these verbs throw; dockerd and containerd pass the text on. */
const prefixes: Readonly<Record<string, string>> = {
  create: "gantry-oci create failed: ",
  run: "gantry-oci run failed: ",
  exec: "exec failed: ",
};

async function tell(words: string): Promise<number> {
  await Bun.write(Bun.stdout, words);
  return 0;
}

function helpText(): string {
  const rows = Object.entries(verbs).map(([name, { summary }]) => `   ${name.padEnd(9)} ${summary}`);
  return `gantry-oci: an OCI runtime (runtime-spec ${specVersion})

USAGE:
   gantry-oci [--root DIR] [--log FILE] [--log-format text|json] COMMAND [options] ...

COMMANDS:
${rows.join("\n")}
`;
}
