/** `gantry-oci create`. */
import { begin, launchAndStore } from "./begin.ts";
import type { VerbInput } from "./context.ts";

export async function create(input: VerbInput): Promise<number> {
  return await begin("create", input, { detach: true, waits: true }, async (beginning) => {
    const running = await launchAndStore(beginning);
    running.control.close();
    return 0;
  });
}
