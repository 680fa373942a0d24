/** The program gantry-oci: what native/oci calls. Its one effect is to publish `gantryMain`; the verbs are in modules of their own. */
import { addPolyfills } from "./polyfills.ts";
import { main } from "./main.ts";
import { setProgramName } from "./program-name.ts";

declare global {
  // oxlint-disable-next-line no-var -- a global
  var gantryMain: () => number;
}

addPolyfills();
setProgramName(host.program);
globalThis.gantryMain = () => main(host.args);
