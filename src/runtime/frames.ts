/** The frames of control and attach connections: native/PROTOCOL.md, "Frames". Pure. */
import { GantryError } from "../lib/index.ts";
import { streamBits } from "./encode-plan.ts";
import type { AttachStreams } from "./plan-step.ts";

/** Longest payload in either direction. */
export const maxFrameBytes = 64 << 10;
const headerBytes = 8;

export const frameType = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  started: 16,
  failed: 17,
  exited: 18,
  resize: 19,
  signal: 20,
  hello: 21,
  reopenLog: 22,
  error: 23,
  closeStdin: 24,
  signalResult: 25,
} as const;

/** A running process: its pid on the host, the time it started (field 22 of /proc/PID/stat) and its monitor. */
export interface Started {
  readonly pid: number;
  readonly startTime: string;
  readonly monitorPid: number;
}

export interface Exited {
  /** 128 + signal when it was killed. */
  readonly exitCode: number;
  readonly signal: number;
  readonly oomKilled: boolean;
  readonly atMs: number;
  readonly lostLogLines: number;
}

export interface Failed {
  /** Position in the plan; 0xffffffff: the plan itself. */
  readonly index: number;
  readonly errno: number;
  readonly context: string;
}

export type Frame =
  | { readonly type: "output"; readonly stream: 1 | 2; readonly bytes: Uint8Array }
  | { readonly type: "started"; readonly started: Started }
  | { readonly type: "failed"; readonly failed: Failed }
  | { readonly type: "exited"; readonly exited: Exited }
  | { readonly type: "error"; readonly message: string }
  | { readonly type: "signal-result"; readonly errno: number };

/** Frame header and payload in one buffer. */
export function encodeFrame(type: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const frame = new Uint8Array(headerBytes + payload.length);
  frame[0] = type;
  new DataView(frame.buffer).setUint32(4, payload.length, false);
  frame.set(payload, headerBytes);
  return frame;
}

export function resizeFrame(rows: number, cols: number): Uint8Array {
  const payload = new Uint8Array(4);
  const view = new DataView(payload.buffer);
  view.setUint16(0, clampU16(rows), true);
  view.setUint16(2, clampU16(cols), true);
  return encodeFrame(frameType.resize, payload);
}

export function signalFrame(signal: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, signal, true);
  return encodeFrame(frameType.signal, payload);
}

/** First frame on a connection to a monitor's socket; no streams make a control connection. */
export function helloFrame(streams: AttachStreams | undefined, wantState: boolean): Uint8Array {
  const bits = streams === undefined ? 0 : streamBits(streams);
  return encodeFrame(frameType.hello, Uint8Array.of(bits, wantState ? 1 : 0));
}

function clampU16(value: number): number {
  return Math.max(0, Math.min(0xffff, Math.trunc(value)));
}

/**
 * Cuts a byte stream into frames. Holds at most one incomplete frame.
 * @throws {GantryError} "corrupt" when the peer does not speak the protocol
 */
export class FrameParser {
  #rest: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): Frame[] {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, headerBytes);
      const length = view.getUint32(4, false);
      if (length > maxFrameBytes) throw corrupt(`a frame of ${length} bytes`);
      if (bytes.length - at - headerBytes < length) break;
      // A copy: the socket's buffer is reused, and a handler may keep what it got.
      frames.push(decode(view.getUint8(0), bytes.slice(at + headerBytes, at + headerBytes + length)));
      at += headerBytes + length;
    }
    this.#rest = bytes.slice(at);
    return frames;
  }
}

const payloadBytes: Readonly<Record<number, number>> = {
  [frameType.started]: 16,
  [frameType.failed]: 13,
  [frameType.exited]: 21,
  [frameType.signalResult]: 4,
};

function decode(type: number, payload: Uint8Array): Frame {
  if (payload.length < (payloadBytes[type] ?? 0))
    throw corrupt(`a frame of type ${type} with ${payload.length} bytes`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  switch (type) {
    case frameType.stdout:
      return { type: "output", stream: 1, bytes: payload };
    case frameType.stderr:
      return { type: "output", stream: 2, bytes: payload };
    case frameType.started:
      return {
        type: "started",
        started: {
          pid: view.getInt32(0, true),
          startTime: String(view.getBigUint64(4, true)),
          monitorPid: view.getInt32(12, true),
        },
      };
    case frameType.failed:
      return { type: "failed", failed: decodeFailed(view, payload) };
    case frameType.exited:
      return {
        type: "exited",
        exited: {
          exitCode: view.getInt32(0, true),
          signal: view.getInt32(4, true),
          oomKilled: view.getUint8(8) !== 0,
          atMs: Number(view.getBigUint64(9, true) / 1_000_000n),
          lostLogLines: view.getUint32(17, true),
        },
      };
    case frameType.error:
      return { type: "error", message: text(payload, 0) };
    case frameType.signalResult:
      return { type: "signal-result", errno: view.getInt32(0, true) };
    default:
      throw corrupt(`a frame of type ${type}`);
  }
}

function decodeFailed(view: DataView, payload: Uint8Array): Failed {
  return { index: view.getUint32(0, true), errno: view.getInt32(4, true), context: text(payload, 8) };
}

/** A length-prefixed, NUL-terminated string; cut to what is there. */
function text(payload: Uint8Array, at: number): string {
  if (payload.length < at + 4) return "";
  const length = new DataView(payload.buffer, payload.byteOffset + at, 4).getUint32(0, true);
  return new TextDecoder().decode(payload.subarray(at + 4, Math.min(payload.length, at + 4 + length)));
}

function corrupt(what: string): GantryError {
  return new GantryError("corrupt", `the monitor sent ${what}, which is not of its protocol`);
}
