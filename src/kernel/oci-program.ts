/** gantry-oci inside the one file: `gantry oci` becomes it, from a sealed memory file as gantry-init. */
import { loadSys } from "./load-sys.ts";
import { readNativeFile } from "./native-file.ts";

/**
 * Replaces this process by gantry-oci with these words.
 * @throws {GantryError} "unavailable" when it has not been built
 */
export function becomeOciRuntime(words: readonly string[]): never {
  const sys = loadSys();
  const file = sys.memfd("gantry-oci", readNativeFile("oci"));
  const env = Object.entries(process.env).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${value}`],
  );
  return sys.exec({ file, argv: ["gantry-oci", ...words], env });
}
