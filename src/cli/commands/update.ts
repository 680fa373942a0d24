/** gantry update: limits and restart policy of containers, also while they run. */
import type { CommandSpec, Invocation } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { printError } from "../output.ts";
import { createFlags } from "../run/create-flags.ts";
import { parseRestart } from "../run/parse-create.ts";
import { each } from "./each.ts";

/** Flags of run that hold for a running container, too, and the fields of the request. */
const fields: Readonly<Record<string, string>> = {
  "blkio-weight": "BlkioWeight",
  "cpu-period": "CpuPeriod",
  "cpu-quota": "CpuQuota",
  "cpu-rt-period": "CpuRealtimePeriod",
  "cpu-rt-runtime": "CpuRealtimeRuntime",
  "cpu-shares": "CpuShares",
  cpus: "NanoCpus",
  "cpuset-cpus": "CpusetCpus",
  "cpuset-mems": "CpusetMems",
  memory: "Memory",
  "memory-reservation": "MemoryReservation",
  "memory-swap": "MemorySwap",
  "pids-limit": "PidsLimit",
};
const texts = new Set(["cpuset-cpus", "cpuset-mems"]);

export const update: CommandSpec = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Update configuration of one or more containers",
  about: "What is not given stays as it is; what the kernel refuses changes nothing.",
  aliases: ["container update", "update"],
  examples: [["gantry update --memory 512m --memory-swap 1g web", "more memory, at once"]],
  flags: [
    ...createFlags.filter(({ name }) => Object.hasOwn(fields, name)),
    { name: "restart", kind: "string", help: "Restart policy to apply when a container exits" },
  ],
  args: [1, Infinity],
  completes: "containers",
  run: execute,
};

function execute({ flags, args, engine }: Invocation): Promise<number> {
  const given = Object.keys(fields).filter((name) => flags.has(name));
  if (given.length === 0 && !flags.has("restart"))
    throw new CliError("you must provide one or more flags when using this command", {
      bare: true,
      exitCode: 1,
    });
  const json = {
    ...Object.fromEntries(
      given.map((name) => [fields[name], texts.has(name) ? flags.text(name) : flags.number(name)]),
    ),
    ...(flags.has("restart") ? { RestartPolicy: parseRestart(flags.text("restart")) } : {}),
  };
  return each(args, async (name) => {
    const answer = await engine.json<{ readonly Warnings?: readonly string[] | null }>(
      "POST",
      `/containers/${segment(name)}/update`,
      { json },
    );
    for (const warning of answer.Warnings ?? []) await printError(`${warning}\n`);
    return name;
  });
}
