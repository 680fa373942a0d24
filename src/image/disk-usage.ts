/** Usage. */
import { GantryError } from "../lib/index.ts";
import type { ImageRoom } from "./room.ts";
import type { DiskUsage } from "./transfer-types.ts";
export async function measureDisk(room: ImageRoom): Promise<DiskUsage> {
  throw new GantryError("unsupported", room.root);
}
