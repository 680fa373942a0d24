/** gantry start. */
import type { CommandSpec, Invocation } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { printError } from "../output.ts";
import { AttachedSession } from "../session/attached-session.ts";
import { defaultDetachKeys, parseDetachKeys } from "../session/detach-keys.ts";
import type { AttachTarget } from "./attach.ts";
import { each } from "./each.ts";

export const start: CommandSpec = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Start one or more stopped containers",
  aliases: ["container start", "start"],
  flags: [
    { name: "attach", short: "a", kind: "bool", help: "Attach STDOUT and STDERR, and pass signals" },
    { name: "detach-keys", kind: "string", help: "Keys that detach from a terminal session (ctrl-p,ctrl-q)" },
    { name: "interactive", short: "i", kind: "bool", help: "Attach the container's STDIN" },
    {
      name: "sig-proxy",
      kind: "bool",
      preset: "true",
      hidden: true,
      help: "Pass signals we receive to the process",
    },
  ],
  args: [1, Infinity],
  completes: "containers",
  readsKeyboard: true,
  async run(call) {
    if (call.flags.bool("attach") || call.flags.bool("interactive")) return startAttached(call);
    return each(call.args, async (name) => {
      await call.engine.send("POST", `/containers/${segment(name)}/start`);
      return name;
    });
  },
};

async function startAttached({ flags, args, engine }: Invocation): Promise<number> {
  const [name = ""] = args;
  if (args.length > 1) throw new CliError("you cannot start and attach multiple containers at once");
  const target = await engine.json<AttachTarget>("GET", `/containers/${segment(name)}/json`);
  const session = new AttachedSession(engine, {
    id: target.Id,
    tty: target.Config.Tty,
    stdin: flags.bool("interactive") && target.Config.OpenStdin,
    sigProxy: flags.bool("sig-proxy", true),
    detachKeys: parseDetachKeys(flags.text("detach-keys", defaultDetachKeys)),
  });
  // A running container is only attached to; otherwise the wait must stand before the start, or its end could be missed.
  const condition = target.State.Running ? "not-running" : "next-exit";
  const wait = engine.json<{ StatusCode: number }>("POST", `/containers/${target.Id}/wait`, {
    query: { condition },
  });
  wait.catch(() => undefined);
  const ended = await session.run(() => engine.send("POST", `/containers/${target.Id}/start`));
  if (ended === "detached") {
    await printError("read escape sequence\n");
    return 0;
  }
  return (await wait).StatusCode;
}
