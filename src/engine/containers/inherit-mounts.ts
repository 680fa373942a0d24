/** `--volumes-from`: the mounts of other containers, taken over when a container is made. */
import { GantryError } from "../../lib/index.ts";
import type { ContainerRecord, InheritedMount } from "../container.ts";
import { mountsOf } from "./mount-spec.ts";

/**
 * Binds and volumes of each named container; of two at one target the later container's. Pure.
 * @param find by name or id
 * @throws {GantryError} "invalid" for an unknown container, in dockerd's words, or mode
 */
export function inheritedMounts(
  wishes: readonly string[],
  find: (reference: string) => ContainerRecord | undefined,
): readonly InheritedMount[] {
  const byTarget = new Map<string, InheritedMount>();
  for (const wish of wishes) {
    const { reference, mode } = parseWish(wish);
    const record = find(reference);
    // A "not found" would be taken for the image's by docker's client, which would go and pull it.
    if (record === undefined) throw new GantryError("invalid", `No such container: ${reference}`);
    const anonymous = new Set(record.volumes.filter((use) => use.anonymous).map((use) => use.name));
    for (const mount of mountsOf(record)) {
      if (mount.type === "tmpfs") continue;
      const readOnly = mode === "" ? mount.readOnly : mode === "ro";
      // Filled it is already, or on purpose not.
      byTarget.set(mount.target, {
        ...mount,
        readOnly,
        mode,
        noCopy: true,
        anonymous: anonymous.has(mount.name),
      });
    }
  }
  return [...byTarget.values()];
}

function parseWish(wish: string): { readonly reference: string; readonly mode: "" | "ro" | "rw" } {
  const at = wish.indexOf(":");
  const [reference, words] = at < 0 ? [wish, ""] : [wish.slice(0, at), wish.slice(at + 1)];
  // SELinux labels mean nothing here.
  const modes = words.split(",").filter((word) => word !== "" && word !== "z" && word !== "Z");
  const [mode = ""] = modes;
  if (reference === "" || modes.length > 1 || (mode !== "" && mode !== "ro" && mode !== "rw"))
    throw new GantryError("invalid", `invalid mode: ${words || wish}`, { hint: "write CONTAINER[:ro|rw]" });
  return { reference, mode };
}
