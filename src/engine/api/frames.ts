/**
 * Frames of a joined session of our own client: u8 type, 3 zero bytes, u32 big-endian length, payload
 * (native/PROTOCOL.md, "Frames"; the client's side is src/cli/connection/frames.ts). Pure.
 */
import { GantryError } from "../../lib/index.ts";

export const frameType = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  resize: 19,
  signal: 20,
  run: 32,
  created: 33,
  error: 34,
  exit: 35,
} as const;

/** A create request may be as long as a JSON body. */
const longestRun = 4 << 20;
const longestOther = 1 << 20;

export interface ClientFrame {
  readonly type: number;
  readonly payload: Buffer;
}

/** Cuts what a client sends into frames, each collected whole. */
export class ClientFrames {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws {GantryError} "invalid" for what is no frame or too long */
  push(bytes: Uint8Array): ClientFrame[] {
    let rest =
      this.#rest.length === 0
        ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
        : Buffer.concat([this.#rest, bytes]);
    const frames: ClientFrame[] = [];
    while (rest.length >= 8) {
      const type = rest.readUInt8(0);
      const length = rest.readUInt32BE(4);
      if (rest.readUIntBE(1, 3) !== 0)
        throw new GantryError("invalid", "the client sent something that is no frame");
      if (length > (type === frameType.run ? longestRun : longestOther)) {
        throw new GantryError("invalid", `the client sent a frame of ${length} bytes`);
      }
      if (rest.length < 8 + length) break;
      frames.push({ type, payload: rest.subarray(8, 8 + length) });
      rest = rest.subarray(8 + length);
    }
    this.#rest = rest;
    return frames;
  }
}
