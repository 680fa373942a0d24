/** gantry top. */
import type { CommandSpec } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { print } from "../output.ts";

/** Docker's columns here are 20 wide at least, with a gap of one. */
const leastWidth = 20;

export const top: CommandSpec = {
  usage: "CONTAINER [ps OPTIONS]",
  summary: "Display the running processes of a container",
  aliases: ["container top", "top"],
  flags: [],
  args: [1, Infinity],
  stopAtArgument: true,
  completes: "running",
  async run({ args: [name = "", ...options], engine }) {
    const list = await engine.json<{
      readonly Titles: readonly string[];
      readonly Processes: readonly (readonly string[])[];
    }>("GET", `/containers/${segment(name)}/top`, { query: { ps_args: options.join(" ") } });
    const rows = [list.Titles, ...list.Processes];
    const widths = list.Titles.map((_, i) =>
      Math.max(leastWidth, ...rows.map((row) => (row[i]?.length ?? 0) + 1)),
    );
    const line = (row: readonly string[]): string =>
      row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join("");
    await print(rows.map((row) => `${line(row)}\n`).join(""));
    return 0;
  },
};
