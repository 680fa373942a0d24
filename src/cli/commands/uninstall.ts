/** gantry system uninstall. */
import type { CommandSpec, Invocation } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";
import { force } from "./list-flags.ts";
import { isRunning } from "./process-runs.ts";

/** Containers are ended and their files removed before the engine answers; then it only has to exit. */
const exitDeadlineMs = 10_000;

export const uninstall: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Remove everything that Gantry made on this machine",
  about:
    "Ends and removes all containers of the engine, its images, volumes, networks, firewall rules, control groups\nand directories, and the engine itself. Other engines and the program's own file are left alone.",
  examples: [["gantry system uninstall --force", "no question asked"]],
  flags: [force],
  args: [0, 0],
  run: remove,
};

async function remove(call: Invocation): Promise<number> {
  const warning =
    "This will remove:\n  - all containers, running ones too\n  - all images and the build cache\n  - all volumes and their data\n  - all networks, rules and control groups of this engine\n  - the engine and its directories\n";
  if (!(await confirmed(call, warning))) return 0;
  const { Pid, Root, State } = await call.engine.json<{ Pid: number; Root: string; State: string }>(
    "POST",
    "/gantry/uninstall",
  );
  for (const deadline = Date.now() + exitDeadlineMs; isRunning(Pid); await Bun.sleep(5)) {
    if (Date.now() > deadline) throw new CliError(`the engine (pid ${Pid}) has not ended yet`);
  }
  await print(`Removed the engine, ${Root} and ${State}\n`);
  return 0;
}
