/** `gantry-oci state`. */
import { ContainerDir } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { shownState } from "./oci-state.ts";

export async function state({ global, flags }: VerbInput): Promise<number> {
  const [id = ""] = expectWords("state", flags, 1);
  const dir = new ContainerDir(global.root, id);
  await print(`${JSON.stringify(await shownState(dir, dir.read()), undefined, 2)}\n`);
  return 0;
}
