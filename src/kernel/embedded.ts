/** The native files inside the compiled program. Loaded lazily and only when compiled: running from source has no such files. */
import init from "../../build/gantry-init.bin" with { type: "file" };
import oci from "../../build/gantry-oci.bin" with { type: "file" };
import sys from "../../build/sys.node" with { type: "file" };

export const embedded = { init, oci, sys } as const;
