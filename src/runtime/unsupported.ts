/** What the specification has and gantry does not do. Pure. */
import { GantryError } from "../lib/index.ts";
import type { OciConfig } from "./oci-types.ts";

/** @throws {GantryError} "unsupported" naming every such field at once */
export function refuseUnsupported(config: OciConfig, offersHooks = false): void {
  const { hooks } = config;
  const found = (["prestart", "createRuntime", "createContainer", "startContainer"] as const)
    .filter((kind) => !offersHooks && (hooks?.[kind]?.length ?? 0) > 0)
    .map((kind) => `hooks.${kind}`);
  if (found.length > 0)
    throw new GantryError("unsupported", `gantry does not offer: ${found.join(", ")}`, {
      hint: "remove these fields from the config",
      fields: { path: found[0] ?? "" },
    });
}
