/** Verify. */
import { GantryError } from "../lib/index.ts";
import type { ImageRoom } from "./room.ts";
import type { VerifyReport, VerifyRequest } from "./transfer-types.ts";
export async function verifyImages(room: ImageRoom, request: VerifyRequest): Promise<VerifyReport> {
  throw new GantryError("unsupported", `${room.root} ${request.references?.length}`);
}
