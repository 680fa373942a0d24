/** What directories that a layer's archive does not describe are like below: overlay shows the topmost layer's attributes. */
import * as fs from "node:fs";
import type { DirectoryAttributes } from "../child-request.ts";
import { listInheritable } from "../inherit.ts";
import type { DriverSys } from "../layer-driver.ts";
import { findLayerDirectory } from "../layer-file.ts";

/**
 * @param implied paths below the root, "" is the root
 * @param parents lower layers, top first, which never change: no child is needed to look into them
 */
export function inherited(
  sys: Pick<DriverSys, "listXattrs" | "getXattr">,
  implied: readonly string[],
  parents: readonly string[],
): readonly DirectoryAttributes[] {
  return implied.flatMap((path) => {
    const found = findLayerDirectory(sys, parents, path);
    if (found === undefined) return [];
    const { mode, uid, gid, mtimeNs } = fs.lstatSync(found, { bigint: true });
    const xattrs = listInheritable(sys, found).map(
      (name) => [name, Buffer.from(sys.getXattr(found, name)).toString("base64")] as const,
    );
    return [
      { path, mode: Number(mode), uid: Number(uid), gid: Number(gid), mtimeNs: String(mtimeNs), xattrs },
    ];
  });
}
