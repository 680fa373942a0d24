/** JSON objects one after the other, as the engine answers /build, /images/load and /images/create. */
import { CliError } from "../errors.ts";

export interface Progress {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly message?: string;
  readonly aux?: { readonly ID?: string };
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string; readonly hint?: string };
}

const longestLine = 8 << 20;

/** The messages of a response, each ended by a newline. @throws {CliError} for one that is no JSON or too long */
export async function* jsonLines(response: Response): AsyncGenerator<Progress> {
  if (response.body === null) return;
  let rest = "";
  for await (const piece of whole(response.body)) {
    rest += piece;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longestLine) throw new CliError("the engine sent a message without end");
    for (const line of lines) if (line.trim() !== "") yield parse(line);
  }
  if (rest.trim() !== "") yield parse(rest);
}

/** @throws {CliError} when the connection breaks in the middle */
async function* whole(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  try {
    for await (const piece of body) yield decoder.decode(piece, { stream: true });
  } catch {
    // Whatever the system calls it: ECONNRESET, EPIPE, a chunk that does not end.
    throw new CliError("the engine's answer broke off in the middle", {
      hint: "was the engine stopped? Try it again: a pull goes on where it was",
    });
  }
}

function parse(line: string): Progress {
  try {
    return JSON.parse(line) as Progress;
  } catch {
    throw new CliError(`the engine sent a message that is no JSON: ${line.slice(0, 120)}`);
  }
}

/** The failure in a message, as an error with docker's exit code; undefined when there is none. */
export function failureOf(message: Progress): CliError | undefined {
  const { error, errorDetail } = message;
  const text = errorDetail?.message ?? error;
  if (text === undefined) return undefined;
  const code = errorDetail?.code ?? 0;
  return new CliError(text, { hint: errorDetail?.hint, exitCode: code > 0 && code < 256 ? code : 1 });
}
