/** Where the native files are: embedded when compiled, else below `build/` of the source tree. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { GantryError, isCompiled, isErrno } from "../lib/index.ts";

const sources = { init: "gantry-init.bin", oci: "gantry-oci.bin", sys: "sys.node" } as const;

/** A path that can be read; the embedded ones only through this process, not by the kernel. */
function nativePath(which: keyof typeof sources): string {
  if (!isCompiled) return resolve(import.meta.dir, "../../build", sources[which]);
  // require, not import: a static import would fail for every importer of this room before `make native` has run.
  const { embedded }: typeof import("./embedded.ts") = require("./embedded.ts");
  return embedded[which];
}

/**
 * The bytes of gantry-init, of gantry-oci or of the addon.
 * @throws {GantryError} "unavailable" when running from source before `make native`, or `make build` for gantry-oci
 */
export function readNativeFile(which: keyof typeof sources): Uint8Array {
  const path = nativePath(which);
  try {
    return readFileSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    throw new GantryError("unavailable", `${path} does not exist`, {
      cause: error,
      hint: which === "oci" ? "run: make build" : "run: make native",
    });
  }
}
