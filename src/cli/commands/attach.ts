/** gantry attach, and the joined stdio of `gantry start -a`. */
import type { CommandSpec, Invocation } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { AttachedSession } from "../session/attached-session.ts";
import { defaultDetachKeys, parseDetachKeys } from "../session/detach-keys.ts";
import { printError } from "../output.ts";

export const attach: CommandSpec = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Attach local standard input, output, and error streams to a running container",
  aliases: ["container attach", "attach"],
  flags: [
    { name: "detach-keys", kind: "string", help: "Keys that detach from a terminal session (ctrl-p,ctrl-q)" },
    { name: "no-stdin", kind: "bool", help: "Do not attach STDIN" },
    { name: "sig-proxy", kind: "bool", preset: "true", help: "Pass signals we receive to the process" },
  ],
  args: [1, 1],
  completes: "running",
  readsKeyboard: true,
  run: join,
};

/** What attach and start need of GET /containers/{id}/json. */
export interface AttachTarget {
  readonly Id: string;
  readonly State: { readonly Running: boolean; readonly Paused?: boolean; readonly Restarting?: boolean };
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
}

async function join({ flags, args: [name = ""], engine }: Invocation): Promise<number> {
  const target = await engine.json<AttachTarget>("GET", `/containers/${segment(name)}/json`);
  if (!target.State.Running) {
    throw new CliError("cannot attach to a stopped container, start it first", {
      hint: `start and attach with: gantry start -a ${name}`,
    });
  }
  if (target.State.Paused === true)
    throw new CliError("cannot attach to a paused container, unpause it first");
  if (target.State.Restarting === true)
    throw new CliError("cannot attach to a restarting container, wait until it is running");
  const session = new AttachedSession(engine, {
    id: target.Id,
    tty: target.Config.Tty,
    stdin: !flags.bool("no-stdin") && target.Config.OpenStdin,
    sigProxy: flags.bool("sig-proxy", true),
    detachKeys: parseDetachKeys(flags.text("detach-keys", defaultDetachKeys)),
  });
  const wait = engine.json<{ StatusCode: number }>("POST", `/containers/${target.Id}/wait`);
  // Only one of the two is awaited when the user detaches.
  wait.catch(() => undefined);
  const ended = await session.run(async () => undefined);
  if (ended === "detached") {
    await printError("read escape sequence\n");
    return 0;
  }
  return (await wait).StatusCode;
}
