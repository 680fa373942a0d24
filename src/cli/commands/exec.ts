/** gantry exec. */
import type { CommandSpec, Invocation } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { readPairs } from "../run/read-files.ts";
import { readEnv } from "../run/read-values.ts";
import { defaultDetachKeys, parseDetachKeys } from "../session/detach-keys.ts";
import { joinSession } from "../session/joined-session.ts";

export const exec: CommandSpec = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Execute a command in a running container",
  aliases: ["container exec", "exec"],
  examples: [
    ["gantry exec -it web sh", "a shell inside"],
    ["echo hi | gantry exec -i web tee /tmp/hi", "with input from a pipe"],
  ],
  flags: [
    { name: "detach", short: "d", kind: "bool", help: "Run the command in the background" },
    { name: "detach-keys", kind: "string", help: "Keys that detach from a terminal session (ctrl-p,ctrl-q)" },
    { name: "env", short: "e", kind: "list", read: readEnv, help: "Set an environment variable" },
    { name: "env-file", kind: "list", help: "Read environment variables from a file" },
    { name: "interactive", short: "i", kind: "bool", help: "Keep STDIN open" },
    { name: "privileged", kind: "bool", help: "Give the command all rights" },
    { name: "tty", short: "t", kind: "bool", help: "Allocate a pseudo-TTY" },
    { name: "user", short: "u", kind: "string", help: "User name or id (<name|uid>[:<group|gid>])" },
    { name: "workdir", short: "w", kind: "string", help: "Working directory inside the container" },
  ],
  args: [2, Infinity],
  stopAtArgument: true,
  completes: "running",
  readsKeyboard: true,
  run: execute,
};

async function execute({ flags, args, engine }: Invocation): Promise<number> {
  const [container = "", ...command] = args;
  const detach = flags.bool("detach");
  const tty = flags.bool("tty");
  const stdin = flags.bool("interactive") && !detach;
  if (tty && stdin && !(await import("../session/terminal.ts")).isTerminal(0)) {
    throw new CliError("the input device is not a TTY", { bare: true });
  }
  const env = [
    ...flags.list("env-file").flatMap((path) => readPairs(path, (name) => process.env[name])),
    ...flags.list("env"),
  ];
  const result = await joinSession(engine, {
    path: `/gantry/containers/${segment(container)}/exec`,
    run: {
      Detach: detach,
      Body: {
        User: flags.text("user"),
        Privileged: flags.bool("privileged"),
        Tty: tty,
        AttachStdin: stdin,
        AttachStdout: !detach,
        AttachStderr: !detach,
        DetachKeys: flags.text("detach-keys"),
        Env: env.length === 0 ? null : env,
        WorkingDir: flags.text("workdir"),
        Cmd: command,
      },
    },
    stdin,
    tty,
    detach,
    sigProxy: false,
    detachKeys: parseDetachKeys(flags.text("detach-keys", defaultDetachKeys)),
  });
  return result.exitCode;
}
