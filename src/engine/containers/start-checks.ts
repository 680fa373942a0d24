/** Whether a container may be started, and what a failed start leaves in its state. Pure. */
import { type ErrorCode, GantryError, toGantryError } from "../../lib/index.ts";
import type { StoredContainer } from "../container-store.ts";

/** @throws {GantryError} "not-modified" when it runs; "conflict" when it is paused or being removed */
export function checkStartable({ record, state }: StoredContainer): void {
  switch (state.status) {
    case "running":
      throw new GantryError("not-modified", `container ${record.id} is already running`);
    case "paused":
      throw new GantryError("conflict", "cannot start a paused container, try unpause instead", {
        hint: `gantry unpause ${record.name}`,
      });
    case "removing":
    case "dead":
      throw new GantryError("conflict", "container is marked for removal and cannot be started");
    case "created":
    case "exited":
    case "restarting":
      return;
  }
}

/** As dockerd records them; 128 is "could not be started" for any other reason. */
const exitCodes: Partial<Record<ErrorCode, number>> = {
  "command-not-found": 127,
  "command-not-executable": 126,
};

export function startFailure(error: unknown): { readonly message: string; readonly exitCode: number } {
  const { message, code } = toGantryError(error);
  return { message, exitCode: exitCodes[code] ?? 128 };
}
