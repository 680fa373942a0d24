/** `gantry-oci pause` and `resume`. */
import { GantryError } from "../../lib/index.ts";
import { freezeContainer } from "./container-cgroups.ts";
import { ContainerDir } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { shownState } from "./oci-state.ts";

export function pause(input: VerbInput): number {
  return freeze("pause", input, true);
}

export function resume(input: VerbInput): number {
  return freeze("resume", input, false);
}

function freeze(verb: string, { global, flags }: VerbInput, on: boolean): number {
  const [id = ""] = expectWords(verb, flags, 1);
  const dir = new ContainerDir(global.root, id);
  dir.locked(() => {
    const stored = dir.read();
    const { status } = shownState(dir, stored);
    if (on && status !== "running" && status !== "created")
      throw new GantryError("conflict", "container not running", { hint: `it is ${status}` });
    if (!on && status !== "paused")
      throw new GantryError("conflict", "container not paused", { hint: `it is ${status}` });
    freezeContainer(stored, on);
  });
  return 0;
}
