/** gantry rmi. */
import type { CommandSpec } from "../command.ts";
import { imagePath } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { each } from "./each.ts";

/** What DELETE /images/{name} and POST /images/prune say of each thing they removed. */
export interface Deletion {
  readonly Untagged?: string;
  readonly Deleted?: string;
}

export const rmi: CommandSpec = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Remove one or more images",
  aliases: ["image rm", "image remove", "rmi"],
  flags: [
    {
      name: "force",
      short: "f",
      kind: "bool",
      help: "Remove it though stopped containers use it or it has several names",
    },
    { name: "no-prune", kind: "bool", help: "Keep parents without a name" },
  ],
  args: [1, Infinity],
  completes: "images",
  run: ({ args, flags, engine }) =>
    each(args, async (name) => {
      const force = flags.bool("force");
      try {
        const done = await engine.json<readonly Deletion[]>("DELETE", `/images/${imagePath(name)}`, {
          query: { force, noprune: flags.bool("no-prune") },
        });
        const lines = done.map((one) =>
          one.Deleted === undefined ? `Untagged: ${one.Untagged ?? ""}` : `Deleted: ${one.Deleted}`,
        );
        return lines.length === 0 ? undefined : lines.join("\n");
      } catch (error) {
        if (force && error instanceof CliError && error.status === 404) return undefined;
        throw error;
      }
    }),
};
