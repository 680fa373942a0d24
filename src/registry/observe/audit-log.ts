/**
 * Who did what, from where, with what result: JSON lines in a file that is renamed away when it is full. No secrets. A disk without
 * room costs entries, told once and counted in the next one that is written, never the service.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { isErrno, LineWriter, messageOf } from "../../lib/index.ts";
import type { RegistryEvent } from "../types.ts";

export interface AuditEntry {
  readonly time: string;
  readonly who: string;
  readonly kind: string;
  readonly action: string;
  readonly what: string;
  readonly from: string;
  readonly result: string;
  readonly request?: string | undefined;
}

const maxBytes = 16 << 20;
const keepFiles = 8;

export class AuditLog {
  readonly #path: string;
  readonly #pulls: boolean;
  readonly #onTrouble: (reason: string) => void;
  readonly #lines: LineWriter;
  #fd: number;
  #bytes: number;
  #isStuck = false;

  /**
   * @param pulls note pulls as well, of which there are many
   * @param onTrouble told once when entries begin to be lost
   */
  constructor(path: string, pulls: boolean, onTrouble: (reason: string) => void = () => undefined) {
    this.#path = path;
    this.#pulls = pulls;
    this.#onTrouble = onTrouble;
    this.#lines = new LineWriter({
      write: (bytes) => writeSync(this.#fd, bytes),
      lostLine: (lost) =>
        lineOf({ ...ourselves, action: "lost", what: `${lost} entries`, result: "no room" }),
      onLoss: onTrouble,
    });
    this.#fd = openSync(path, "a", 0o600);
    this.#bytes = statSync(path).size;
  }

  readonly listen = (event: RegistryEvent): void => {
    if (event.action === "pull" && !this.#pulls) return;
    const { repository, tag, digest, kind } = event.target;
    this.write({
      who: event.actor.name ?? "",
      kind: event.actor.kind,
      action: `${event.action} ${kind}`,
      what: `${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`,
      from: event.remote,
      result: "ok",
      request: event.requestId,
    });
  };

  write(entry: Omit<AuditEntry, "time">): void {
    const line = lineOf(entry);
    const bytes = Buffer.byteLength(line);
    if (this.#bytes + bytes > maxBytes && this.#bytes > 0) this.#tryRotate();
    if (this.#lines.write(line)) this.#bytes += bytes;
  }

  /** A file that cannot be renamed away grows on. */
  #tryRotate(): void {
    try {
      this.#rotate();
      this.#isStuck = false;
    } catch (error) {
      if (!this.#isStuck) this.#onTrouble(messageOf(error));
      this.#isStuck = true;
    }
  }

  #rotate(): void {
    fsyncSync(this.#fd);
    for (let i = keepFiles - 1; i >= 0; i--) {
      const from = i === 0 ? this.#path : `${this.#path}.${i}`;
      try {
        if (i === keepFiles - 1) rmSync(from);
        else renameSync(from, `${this.#path}.${i + 1}`);
      } catch (error) {
        // ENOENT: so many there are not yet.
        if (!isErrno(error, "ENOENT")) throw error;
      }
    }
    const fresh = openSync(this.#path, "a", 0o600);
    closeSync(this.#fd);
    this.#fd = fresh;
    this.#bytes = 0;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const ourselves = { who: "gantry", kind: "server", from: "" } as const;

function lineOf(entry: Omit<AuditEntry, "time">): string {
  return `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`;
}
