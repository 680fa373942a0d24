/** `gantry-oci pause` and `resume`. */
import { detectCgroups, loadSys } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import { setFrozen } from "../cgroup-files.ts";
import { ContainerDir } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { shownState } from "./oci-state.ts";

export async function pause(input: VerbInput): Promise<number> {
  return await freeze("pause", input, true);
}

export async function resume(input: VerbInput): Promise<number> {
  return await freeze("resume", input, false);
}

async function freeze(verb: string, { global, flags }: VerbInput, on: boolean): Promise<number> {
  const [id = ""] = expectWords(verb, flags, 1);
  const dir = new ContainerDir(global.root, id);
  await dir.locked(loadSys(), async () => {
    const stored = dir.read();
    const { status } = await shownState(dir, stored);
    if (on && status !== "running" && status !== "created")
      throw new GantryError("conflict", "container not running");
    if (!on && status !== "paused") throw new GantryError("conflict", "container not paused");
    await setFrozen(detectCgroups(), stored.config.linux?.cgroupsPath ?? "", on);
  });
  return 0;
}
