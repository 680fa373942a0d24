/** `gantry image bootstrap`: base images from packages of this machine's distribution, with no registry. */
import { bootstrapBusybox } from "./bootstrap-busybox.ts";
import { bootstrapDebian } from "./bootstrap-debian.ts";
import type { ImageStore } from "./image-store.ts";
import type { ImageRecord } from "./types.ts";

export type BootstrapKind = "busybox" | "debian";

export interface BootstrapOptions {
  /** Name of the image; without: `busybox:latest`, `debian:latest`. */
  readonly reference?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Takes each line of progress. */
  readonly onLine: (line: string) => void;
}

/** @throws {GantryError} that names the missing package and the remedy */
export function bootstrap(
  kind: BootstrapKind,
  store: ImageStore,
  options: BootstrapOptions,
): Promise<ImageRecord> {
  return kind === "busybox" ? bootstrapBusybox(store, options) : bootstrapDebian(store, options);
}
