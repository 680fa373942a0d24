/** While the registry is read-only, pulls go on and nothing changes. */
import { RegistryError } from "../errors.ts";
import type { Settings } from "../settings.ts";
import type { Guard } from "../types.ts";

const retrySeconds = 60;

export function readOnlyGuard(settings: Settings): Guard {
  const refuse = async (): Promise<void> => {
    const state = await settings.readOnly();
    if (state === undefined) return;
    const why = state.reason === "" ? "" : `: ${state.reason}`;
    // 405 and not 503: docker prints the sentence of the one and retries the other five times without a word.
    throw new RegistryError("UNSUPPORTED", `the registry is read-only${why}`, {
      headers: { "Retry-After": String(retrySeconds) },
    });
  };
  return { write: refuse, upload: refuse, putManifest: refuse, deleteManifest: refuse };
}
