/** Where the files of a container are, for copying them in and out. Pure. */
import type { TreeRoot } from "../../image/index.ts";
import type { EnginePaths } from "../paths.ts";
import { containerPaths } from "../paths.ts";
import type { ContainerView } from "./wire-container.ts";

/**
 * A running container's files are those that its first process sees, with volumes and all; a stopped one's are its layers,
 * mounted once more for a moment. (An overlay must not be mounted twice at a time: its upper directory has one owner.)
 */
export function containerTree(paths: EnginePaths, { record, state, layers, upper }: ContainerView): TreeRoot {
  if (state.pid !== 0) return { dir: `/proc/${state.pid}/root` };
  return { lowers: layers, upper, work: containerPaths(paths, record.id).work };
}
