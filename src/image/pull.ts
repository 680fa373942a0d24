/** Pull. */
import { GantryError } from "../lib/index.ts";
import type { ImageRoom } from "./room.ts";
import type { PulledImage, PullRequest } from "./transfer-types.ts";
export async function pullImage(room: ImageRoom, request: PullRequest): Promise<PulledImage> {
  throw new GantryError("unsupported", `${room.root} ${request.source.name}`);
}
