/** Source. */
import { GantryError } from "../lib/index.ts";
import type { ImageSource } from "./endpoint.ts";
import type { ImageRoom } from "./room.ts";
import type { SourceOptions } from "./transfer-types.ts";
export async function openStoreSource(
  room: ImageRoom,
  reference: string,
  options: SourceOptions,
): Promise<ImageSource> {
  throw new GantryError("unsupported", `${room.root} ${reference} ${options.level}`);
}
