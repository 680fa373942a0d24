/** Commands that act on containers by name: stop, restart, kill, rm, pause, unpause, rename, wait. */
import type { CommandSpec, Invocation } from "../command.ts";
import { type RequestOptions, segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import type { Flag } from "../flags/flag.ts";
import { each } from "./each.ts";

const signal: Flag = { name: "signal", short: "s", kind: "string", help: "Signal to send" };
const timeout: Flag = {
  name: "timeout",
  short: "t",
  kind: "int",
  also: ["time"],
  help: "Seconds to wait before the container is killed",
};

/** Posts `verb` for each container and prints its name. */
function post(verb: string, query: (call: Invocation) => RequestOptions["query"]): CommandSpec["run"] {
  return (call) =>
    each(call.args, async (name) => {
      await call.engine.send("POST", `/containers/${segment(name)}/${verb}`, { query: query(call) });
      return name;
    });
}

const signalAndTime = ({ flags }: Invocation): RequestOptions["query"] => ({
  signal: flags.text("signal"),
  t: flags.has("timeout") ? flags.number("timeout") : undefined,
});

const shared = { usage: "[OPTIONS] CONTAINER [CONTAINER...]", args: [1, Infinity] } as const;
const plain = { ...shared, usage: "CONTAINER [CONTAINER...]", flags: [] } as const;

export const stop: CommandSpec = {
  ...shared,
  summary: "Stop one or more running containers",
  about:
    "Sends the stop signal (SIGTERM unless the image or --stop-signal says otherwise) and, when the\ncontainer still runs after the timeout (10 s), SIGKILL.",
  aliases: ["container stop", "stop"],
  flags: [signal, timeout],
  completes: "running",
  run: post("stop", signalAndTime),
};

export const restart: CommandSpec = {
  ...shared,
  summary: "Restart one or more containers",
  aliases: ["container restart", "restart"],
  flags: [signal, timeout],
  completes: "containers",
  run: post("restart", signalAndTime),
};

export const kill: CommandSpec = {
  ...shared,
  summary: "Kill one or more running containers",
  aliases: ["container kill", "kill"],
  flags: [{ ...signal, help: "Signal to send (without: KILL)" }],
  completes: "running",
  run: post("kill", ({ flags }) => ({ signal: flags.text("signal") })),
};

export const pause: CommandSpec = {
  ...plain,
  summary: "Pause all processes within one or more containers",
  aliases: ["container pause", "pause"],
  completes: "running",
  run: post("pause", () => ({})),
};

export const unpause: CommandSpec = {
  ...plain,
  summary: "Unpause all processes within one or more containers",
  aliases: ["container unpause", "unpause"],
  completes: "containers",
  run: post("unpause", () => ({})),
};

export const rm: CommandSpec = {
  ...shared,
  summary: "Remove one or more containers",
  aliases: ["container rm", "container remove", "rm"],
  flags: [
    { name: "force", short: "f", kind: "bool", help: "Remove a running container too (it gets SIGKILL)" },
    { name: "volumes", short: "v", kind: "bool", help: "Remove the container's anonymous volumes too" },
  ],
  completes: "containers",
  run: ({ args, flags, engine }) =>
    each(args, async (name) => {
      const trimmed = name.replace(/^\/+/, "");
      if (trimmed === "") throw new CliError("container name cannot be empty");
      const force = flags.bool("force");
      try {
        await engine.send("DELETE", `/containers/${segment(trimmed)}`, {
          query: { force, v: flags.bool("volumes") },
        });
      } catch (error) {
        // With --force, what is not there is as good as removed.
        if (force && error instanceof CliError && error.status === 404) return undefined;
        throw error;
      }
      return name;
    }),
};

export const rename: CommandSpec = {
  usage: "CONTAINER NEW_NAME",
  summary: "Rename a container",
  aliases: ["container rename", "rename"],
  flags: [],
  args: [2, 2],
  completes: "containers",
  async run({ args: [name = "", wish = ""], engine }) {
    if (name.trim() === "" || wish.trim() === "")
      throw new CliError("neither old nor new names may be empty");
    await engine.send("POST", `/containers/${segment(name)}/rename`, { query: { name: wish } });
    return 0;
  },
};

export const wait: CommandSpec = {
  ...plain,
  summary: "Block until one or more containers stop, then print their exit codes",
  aliases: ["container wait", "wait"],
  completes: "running",
  run: ({ args, engine }) =>
    each(args, async (name) => {
      const result = await engine.json<{ StatusCode: number; Error?: { Message: string } | null }>(
        "POST",
        `/containers/${segment(name)}/wait`,
      );
      if (result.Error) throw new CliError(result.Error.Message);
      return String(result.StatusCode);
    }),
};
