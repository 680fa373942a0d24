/** The program gantry-oci: what native/oci calls. Has no exports: its one effect is to publish `gantryMain`. */
import { addPolyfills } from "./polyfills.ts";
import { main } from "./main.ts";

declare global {
  // oxlint-disable-next-line no-var -- a global
  var gantryMain: () => number;
}

addPolyfills();
globalThis.gantryMain = () => main(host.args);
