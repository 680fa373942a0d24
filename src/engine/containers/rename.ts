/** A new name for a container, in the records and in DNS. */
import { GantryError } from "../../lib/index.ts";
import type { EngineContext } from "../context.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** @throws {GantryError} "invalid" for a malformed name or the present one, "conflict" when it is taken */
export function renameContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  wanted: string,
): Promise<void> {
  const name = wanted.replace(/^\//, "");
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new GantryError(
      "invalid",
      `Invalid container name (${wanted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return lifecycle.locks.run(id, () => {
    const { store, networks } = context;
    const old = store.get(id).record.name;
    if (old === name) {
      throw new GantryError("invalid", "Renaming a container with the same name as its current name");
    }
    store.rename(id, name);
    networks.rename(id, name);
    lifecycle.emit(id, "rename", { oldName: `/${old}` });
  });
}
