/** `gantry-oci state`. */
import { ContainerDir } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { shownState } from "./oci-state.ts";

export function state({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("state", flags, 1);
  const dir = new ContainerDir(global.root, id);
  print(`${JSON.stringify(shownState(dir, dir.read()), undefined, 2)}\n`);
  return 0;
}
