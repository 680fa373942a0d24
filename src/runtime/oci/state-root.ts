/** Where the state of containers is kept. */
import { defaultRoot } from "./container-dir.ts";
import { envOf } from "./context.ts";
import { resolvePath } from "./paths.ts";

/** --root; else /run/gantry-oci, and for others than root a directory of their own. */
export function stateRoot(given: string | undefined): string {
  if (given !== undefined && given !== "") return resolvePath(given);
  const own = envOf("XDG_RUNTIME_DIR") ?? "";
  return host.uid() !== 0 && own !== "" ? `${resolvePath(own)}/gantry-oci` : defaultRoot;
}
