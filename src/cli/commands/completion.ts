/** gantry completion, and the hidden question of its scripts for names. */
import type { CommandSpec } from "../command.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";

export const completion: CommandSpec = {
  usage: "bash|zsh|fish",
  summary: "Print the completion script for a shell",
  about:
    "Commands and flags are written into the script; names of containers, images, volumes and networks\nare asked of the engine while you type (none is started for that).",
  examples: [
    ["source <(gantry completion bash)", "for this shell; put the line into ~/.bashrc to keep it"],
    ["gantry completion fish > ~/.config/fish/completions/gantry.fish", "for fish"],
  ],
  flags: [],
  args: [1, 2],
  completes: "none",
  async run({ args: [shell = "", kind = ""], engine }) {
    if (shell === "names") {
      const { namesOf } = await import("../completion/names.ts");
      await print(await namesOf(engine, kind));
      return 0;
    }
    const { completionScript } = await import("../completion/scripts.ts");
    const script = await completionScript(shell);
    if (script === undefined)
      throw new CliError(`there is no completion for ${JSON.stringify(shell)}`, {
        hint: "there is one for bash, zsh and fish",
      });
    await print(script);
    return 0;
  },
};
