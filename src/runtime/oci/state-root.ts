/** Where the state of containers is kept. */
import { defaultRoot } from "./container-dir.ts";
import { envOf } from "./context.ts";
import { resolvePath } from "./paths.ts";
import { ownsTheMachine } from "./rootless.ts";

/** --root; else /run/gantry-oci, and for others than root a directory of their own. */
export function stateRoot(given: string | undefined): string {
  if (given !== undefined && given !== "") return resolvePath(given);
  const own = envOf("XDG_RUNTIME_DIR") ?? "";
  return own !== "" && (host.uid() !== 0 || isRootOfOthers())
    ? `${resolvePath(own)}/gantry-oci`
    : defaultRoot;
}

/** Root of a user namespace, as in which podman runs us for an ordinary user; runc's rule. */
function isRootOfOthers(): boolean {
  return envOf("USER") !== "root" && !ownsTheMachine();
}
