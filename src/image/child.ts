/** The engine's side of a confined child: start it, feed it, read it, and learn how it ended. */
import { GantryError, messageOf, selfCommand, toGantryError } from "../lib/index.ts";
import { loadSys } from "../kernel/index.ts";
import type { ChildJob, ChildReport, ChildRequest, ReportedError } from "./child-request.ts";
import { confinedCommand } from "./confine.ts";

/** The longest report, and what is kept of a crash's words. */
const maxReportBytes = 64 << 20;
/** How long a child may work on without taking or giving a byte: the last sync of a large layer is within it. */
const idleLimitMs = 15 * 60_000;

export interface ChildRun {
  /** The child's mount point; see ChildRequest. */
  readonly scratch: string;
  readonly work: ChildJob;
  /** What the child reads on its stdin. */
  readonly source?: AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a child whose stdout does not matter and returns its report.
 * @throws {GantryError} what the child reported, or what the source threw
 */
export async function runChild(run: ChildRun): Promise<unknown> {
  const child = new Child(run);
  try {
    return await child.finish();
  } finally {
    await child.stop();
  }
}

/** Yields the child's stdout and returns its report. Leaving the loop early ends the child. */
export async function* streamChild(run: ChildRun): AsyncGenerator<Uint8Array, unknown, void> {
  const child = new Child(run);
  try {
    for await (const chunk of child.output()) {
      child.progress();
      yield chunk;
      child.progress();
    }
    return await child.finish();
  } finally {
    await child.stop();
  }
}

class Child {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #report: Promise<string>;
  readonly #fed: Promise<unknown>;
  readonly #onAbort: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #watch: ReturnType<typeof setInterval>;
  #lastProgressMs = performance.now();
  #timedOut = false;
  #hasExited = false;
  #onExit: (() => void) | undefined;

  constructor({ scratch, work, source, signal }: ChildRun) {
    throwIfAborted(signal);
    const isProcess = "root" in work && "process" in work.root;
    this.#process = Bun.spawn(confinedCommand(loadSys(), selfCommand("internal", "tree"), isProcess), {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    void this.#process.exited.then(() => {
      this.#hasExited = true;
      this.#onExit?.();
    });
    this.#signal = signal;
    this.#onAbort = () => this.#process.kill("SIGKILL");
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#watch = setInterval(() => this.#checkIdle(), 5_000);
    this.#report = readText(this.#process.stderr);
    // Kept as a value: whoever waits for the child looks at it, and nobody may leave it unhandled.
    this.#fed = this.#feed({ scratch, work }, source).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
  }

  progress(): void {
    this.#lastProgressMs = performance.now();
  }

  output(): ReadableStream<Uint8Array> {
    return this.#process.stdout;
  }

  /** The report, when the child has ended by itself. */
  async finish(): Promise<unknown> {
    const fed = await Promise.race([this.#fed, this.#process.exited.then(() => undefined)]);
    if (isFailure(fed)) {
      // The child goes first, then the reason is told: nothing is written any more when the caller cleans up.
      await this.stop();
      throwIfAborted(this.#signal);
      throw toGantryError(fed.error);
    }
    const [text, code] = [await this.#report, await this.#process.exited];
    throwIfAborted(this.#signal);
    if (this.#timedOut)
      throw new GantryError("timeout", `handling files made no progress for ${idleLimitMs / 60_000} minutes`);
    return parseReport(text, code, this.#process.signalCode);
  }

  /** Ends the child if it lives, and waits for its end. */
  async stop(): Promise<void> {
    clearInterval(this.#watch);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    await this.#process.stdout
      .cancel()
      .catch(() => undefined /* TypeError: being read by the loop that was left */);
  }

  #checkIdle(): void {
    if (performance.now() - this.#lastProgressMs < idleLimitMs) return;
    this.#timedOut = true;
    this.#process.kill("SIGKILL");
  }

  async #feed(request: ChildRequest, source: AsyncIterable<Uint8Array> | undefined): Promise<void> {
    const { stdin } = this.#process;
    const json = Buffer.from(JSON.stringify(request));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(json.length);
    if (!(await this.#write(Buffer.concat([length, json])))) return;
    for await (const chunk of source ?? []) {
      throwIfAborted(this.#signal);
      if (chunk.length > 0 && !(await this.#write(chunk))) return;
      this.progress();
    }
    try {
      await stdin.end();
    } catch {
      // EPIPE: the child has ended; its report says why.
    }
  }

  /** False when the child no longer reads: its report says why. */
  async #write(bytes: Uint8Array): Promise<boolean> {
    const { stdin } = this.#process;
    if (this.#hasExited) return false;
    // Not a race with the promise of its end: that would hold every piece until then.
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#onExit = () => resolve(false);
    try {
      Promise.all([stdin.write(bytes), stdin.flush()]).then(
        () => resolve(true),
        // EPIPE, as above.
        () => resolve(false),
      );
      return await promise;
    } catch {
      // EPIPE, as above.
      return false;
    } finally {
      this.#onExit = undefined;
    }
  }
}

function isFailure(fed: unknown): fed is { readonly error: unknown } {
  return typeof fed === "object" && fed !== null && "error" in fed;
}

async function readText(stream: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length <= maxReportBytes) chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parseReport(text: string, code: number, signal: unknown): unknown {
  let report: ChildReport;
  try {
    // Written by this same program.
    report = JSON.parse(text) as ChildReport;
  } catch (cause) {
    const ending = signal === null ? `exit code ${code}` : `signal ${String(signal)}`;
    throw new GantryError(
      "internal",
      `the child that handles files ended with ${ending}: ${text.trim().slice(-2000)}`,
      { cause },
    );
  }
  if ("ok" in report) return report.ok;
  throw restored(report.error);
}

function restored({ code, message, hint, fields }: ReportedError): GantryError {
  return new GantryError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(fields === undefined ? {} : { fields }),
  });
}

/** The reason of an abort as one of ours. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  const { reason } = signal;
  throw reason instanceof GantryError
    ? reason
    : new GantryError("canceled", `canceled: ${messageOf(reason)}`, { cause: reason });
}
