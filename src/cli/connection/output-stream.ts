/** A container's output in a response: frames, or raw for a terminal; written to ours, no faster than it is read. */
import { printError, pieceWriter } from "../output.ts";
import { FrameDecoder, frameType } from "./frames.ts";

/** Hands bytes to stdout and stderr. The returned function takes the next bytes of the stream. */
export function outputSplitter(raw: boolean): (bytes: Uint8Array) => Promise<void> | undefined {
  const stdout = pieceWriter(1);
  if (raw) return (bytes) => stdout.write(bytes);
  const decoder = new FrameDecoder();
  const stderr = pieceWriter(2);
  return async (bytes) => {
    for (const piece of decoder.push(bytes)) {
      if (piece.type === frameType.stdout) await stdout.write(piece.bytes);
      else if (piece.type === frameType.stderr) await stderr.write(piece.bytes);
      // Stream 3 is the engine's own complaint about the log.
      else if (piece.type === 3) await printError(`gantry: ${new TextDecoder().decode(piece.bytes)}\n`);
    }
  };
}

export async function copyOutput(response: Response, raw: boolean): Promise<void> {
  const write = outputSplitter(raw);
  if (response.body === null) return;
  for await (const bytes of response.body) await write(bytes);
}
