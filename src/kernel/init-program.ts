/** gantry-init as a sealed memory file: what is executed never has a path that a container could reach (CVE-2019-5736). */
import { readNativeFile } from "./native-file.ts";
import type { Sys } from "./sys.ts";

let program: number | undefined;

/**
 * The fd of a sealed, close-on-exec memory file with gantry-init, made at the first call and kept for the life of the process.
 * @throws {GantryError} "unavailable" when gantry-init has not been built
 */
export function initProgram(sys: Sys): number {
  program ??= sys.memfd("gantry-init", readNativeFile("init"));
  return program;
}
