/** The help of the engine's own word, which the entry file serves. */
import { engine } from "./commands/engine.ts";
import { commandHelp } from "./help.ts";

/** The text of `gantry engine --help`. */
export function engineHelp(): string {
  return commandHelp(engine, ["engine"]);
}
