/** gantry system shutdown and gantry system upgrade. */
import { resolve } from "node:path";
import type { CommandSpec, Invocation } from "../command.ts";
import { CliError, hasErrno } from "../errors.ts";
import { print } from "../output.ts";
import { isRunning } from "./process-runs.ts";

/** The engine has answered and only has to exit. */
const exitDeadlineMs = 10_000;

export const shutdown: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Stop all containers and the engine, because the host goes down",
  about:
    "Each container gets its stop signal and has its own stop time-out; those in another one's namespaces end before it.\nRestart policies start them again with the next engine. To end the engine alone, end its process: containers go on.",
  examples: [["gantry system shutdown --time 60", "at most a minute, for containers that ask for less"]],
  flags: [
    {
      name: "if-host-stops",
      kind: "bool",
      help: "Do nothing unless systemd is stopping the whole system (for the unit's ExecStop)",
    },
    { name: "time", short: "t", kind: "int", help: "Seconds for all together; -1: as long as they want" },
  ],
  args: [0, 0],
  run: shutDown,
};

async function shutDown(call: Invocation): Promise<number> {
  if (call.flags.bool("if-host-stops") && !hostStops()) return 0;
  const time = call.flags.has("time") ? `?t=${call.flags.number("time")}` : "";
  const { Pid, Stopped, Left } = await call.engine.json<{
    readonly Pid: number;
    readonly Stopped: number;
    readonly Left: readonly string[];
  }>("POST", `/gantry/shutdown${time}`, { mayStart: false });
  for (const deadline = Date.now() + exitDeadlineMs; isRunning(Pid); await Bun.sleep(5))
    if (Date.now() > deadline) throw new CliError(`the engine (pid ${Pid}) has not ended yet`);
  await print(`Stopped ${Stopped} containers and the engine\n`);
  if (Left.length > 0) throw new CliError(`these containers could not be stopped: ${Left.join(", ")}`);
  return 0;
}

function hostStops(): boolean {
  const done = Bun.spawnSync(["systemctl", "is-system-running"], { stdout: "pipe", stderr: "ignore" });
  return done.stdout.toString().trim() === "stopping";
}

export const upgrade: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Put another version in the running engine's place; containers go on",
  about:
    "The engine becomes the program that its file holds now, in the same process. Containers, their output and published\nports notice nothing; who asks something of the API's own socket meanwhile waits for a moment, joined terminals are cut.\nA program that does not take the engine's flags is refused, and the engine goes on as it is.",
  examples: [
    ["gantry system upgrade", "after the file was replaced, by make install or a package"],
    ["gantry system upgrade --from ./gantry", "replaces the file, too"],
  ],
  flags: [{ name: "from", kind: "string", help: "Install this program, on the engine's host, first" }],
  args: [0, 0],
  run: replace,
};

/** Who comes in the moment in which the old engine lets go of its socket is cut off, and comes again. */
async function untilAnswered({ engine }: Invocation): Promise<void> {
  for (const deadline = Date.now() + exitDeadlineMs; ; await Bun.sleep(5)) {
    try {
      return await engine.send("GET", "/version", { mayStart: false });
    } catch (error) {
      if (!hasErrno(error, "ECONNRESET", "EPIPE") || Date.now() > deadline) throw error;
    }
  }
}

async function replace(call: Invocation): Promise<number> {
  const from = call.flags.text("from");
  const started = performance.now();
  const { Pid, Program, Version } = await call.engine.json<{
    readonly Pid: number;
    readonly Program: string;
    readonly Version: string;
  }>("POST", "/gantry/upgrade", {
    json: from === "" ? {} : { From: resolve(from) },
    mayStart: false,
  });
  const asked = performance.now();
  await untilAnswered(call);
  const waited = Math.round(performance.now() - asked);
  await print(
    `The engine (pid ${Pid}) runs ${Program}: ${Version}\nIt was away for ${waited} ms, ${Math.round(performance.now() - started)} ms in all\n`,
  );
  return 0;
}
