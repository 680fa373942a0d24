/** Chain ids: image-spec config.md, "Layer ChainID". */
import { type Digest, sha256 } from "../lib/index.ts";

/** The name of a layer on top of `parent`. */
export function chainId(parent: Digest | undefined, diffId: Digest): Digest {
  return parent === undefined ? diffId : sha256(`${parent} ${diffId}`);
}
