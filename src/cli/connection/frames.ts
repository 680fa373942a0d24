/** Frames of a joined session: u8 type, 3 zero bytes, u32 big-endian length, payload (native/PROTOCOL.md, "Frames"). Pure. */
import { CliError } from "../errors.ts";

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

/** The longest payload we send in one frame of stdin. */
export const longestPiece = 64 << 10;

export function encodeFrame(type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(8 + payload.length);
  frame[0] = type;
  new DataView(frame.buffer).setUint32(4, payload.length);
  frame.set(payload, 8);
  return frame;
}

export function encodeJsonFrame(type: number, value: unknown): Uint8Array {
  return encodeFrame(type, new TextEncoder().encode(JSON.stringify(value)));
}

export function encodeResize(rows: number, columns: number): Uint8Array {
  const payload = new Uint8Array(4);
  const view = new DataView(payload.buffer);
  view.setUint16(0, rows, true);
  view.setUint16(2, columns, true);
  return encodeFrame(frameType.resize, payload);
}

export function encodeSignal(signal: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, signal, true);
  return encodeFrame(frameType.signal, payload);
}

export interface Piece {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/**
 * Cuts a byte stream into frames. The output of programs (types 1 and 2) is handed on as it arrives, so that a long
 * frame costs no memory; every other frame is collected whole, up to 1 MiB.
 */
export class FrameDecoder {
  readonly #header = new Uint8Array(8);
  #headerLength = 0;
  #type = 0;
  #left = 0;
  #collected: Uint8Array[] = [];

  /** @throws {CliError} when the stream is not made of frames */
  push(bytes: Uint8Array): Piece[] {
    const pieces: Piece[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#headerLength < 8) {
        const taken = Math.min(8 - this.#headerLength, bytes.length - at);
        this.#header.set(bytes.subarray(at, at + taken), this.#headerLength);
        this.#headerLength += taken;
        at += taken;
        if (this.#headerLength < 8) break;
        this.#open();
      } else {
        const taken = Math.min(this.#left, bytes.length - at);
        this.#take(bytes.subarray(at, at + taken), pieces);
        at += taken;
      }
      if (this.#headerLength === 8 && this.#left === 0) this.#close(pieces);
    }
    return pieces;
  }

  #open(): void {
    const [type = 0, a, b, c] = this.#header;
    this.#type = type;
    this.#left = new DataView(this.#header.buffer).getUint32(4);
    if (a !== 0 || b !== 0 || c !== 0) throw new CliError("the engine sent something that is no frame");
    if (!this.#streams() && this.#left > 1 << 20)
      throw new CliError(`the engine sent a frame of ${this.#left} bytes`);
  }

  #take(bytes: Uint8Array, pieces: Piece[]): void {
    this.#left -= bytes.length;
    if (this.#streams()) pieces.push({ type: this.#type, bytes });
    else this.#collected.push(bytes);
  }

  #close(pieces: Piece[]): void {
    if (!this.#streams()) pieces.push({ type: this.#type, bytes: Buffer.concat(this.#collected) });
    this.#collected = [];
    this.#headerLength = 0;
  }

  /** Type 3 is what dockerd uses for its own messages in a log stream. */
  #streams(): boolean {
    return this.#type === frameType.stdout || this.#type === frameType.stderr;
  }
}
