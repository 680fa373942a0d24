/** What this program calls itself. */
import metadata from "../../package.json" with { type: "json" };

export const clientVersion: string = metadata.version;

/** The Docker Engine API version that the commands were written against. */
export const clientApiVersion = "1.50";

export const versionLine = `gantry version ${clientVersion}`;
