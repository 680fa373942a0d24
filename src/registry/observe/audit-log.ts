/** Who did what, from where, with what result: JSON lines in a file that is renamed away when it is full. No secrets. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { isErrno } from "../../lib/index.ts";
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
  #fd: number;
  #bytes: number;

  /** @param pulls note pulls as well, of which there are many */
  constructor(path: string, pulls: boolean) {
    this.#path = path;
    this.#pulls = pulls;
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
    const line = Buffer.from(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
    if (this.#bytes + line.length > maxBytes && this.#bytes > 0) this.#rotate();
    writeSync(this.#fd, line);
    this.#bytes += line.length;
  }

  #rotate(): void {
    fsyncSync(this.#fd);
    closeSync(this.#fd);
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
    this.#fd = openSync(this.#path, "a", 0o600);
    this.#bytes = 0;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
