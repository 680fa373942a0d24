/** What directories that a layer's archive does not describe are like below: overlay shows the topmost layer's attributes. */
import * as fs from "node:fs";
import { fsName } from "../../lib/index.ts";
import { listInheritable } from "../inherit.ts";
import type { DriverSys } from "../layer-driver.ts";
import { findLayerDirectory } from "../layer-file.ts";

export type InheritedSys = Pick<DriverSys, "listXattrs" | "getXattr">;

export interface DirectoryAttributes {
  /** Below the layer's root; "" is the root. */
  readonly path: string;
  /** With type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/**
 * @param implied paths below the root, "" is the root
 * @param parents lower layers, top first, which never change: no child is needed to look into them
 */
export function inherited(
  sys: InheritedSys,
  implied: readonly string[],
  parents: readonly string[],
): readonly DirectoryAttributes[] {
  return implied.flatMap((path) => {
    const found = findLayerDirectory(sys, parents, path);
    if (found === undefined) return [];
    const { mode, uid, gid, mtimeNs } = fs.lstatSync(fsName(found), { bigint: true });
    return [
      { path, mode: Number(mode), uid: Number(uid), gid: Number(gid), mtimeNs, xattrs: xattrsOf(sys, found) },
    ];
  });
}

export function xattrsOf(sys: InheritedSys, path: string): ReadonlyMap<string, Uint8Array> {
  return new Map(listInheritable(sys, path).map((name) => [name, sys.getXattr(fsName(path), name)]));
}
