/** `gantry-oci create`. */
import { begin } from "./begin.ts";
import type { VerbInput } from "./context.ts";

export function create(input: VerbInput): number {
  begin("create", input, { detach: true, waits: true }, ({ running }) => host.close(running.control));
  return 0;
}
