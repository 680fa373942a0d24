/** Docker's words for what a pull or a push is doing, layer by layer. Pure but for the clock that spares messages. */
import type { CopyEvent } from "../../distribution/index.ts";
import type { PullEvent } from "../../image/index.ts";
import { digestHex } from "../../lib/index.ts";

/** Docker tells no more often, either. */
const intervalMs = 100;

export interface TransferMessage {
  readonly status: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly progress?: string;
}

const pullWords: Readonly<Record<PullEvent["status"], string>> = {
  waiting: "Pulling fs layer",
  downloading: "Downloading",
  verifying: "Verifying Checksum",
  downloaded: "Download complete",
  extracting: "Extracting",
  complete: "Pull complete",
  exists: "Already exists",
};

const pushWords: Readonly<Record<CopyEvent["status"], string>> = {
  waiting: "Preparing",
  copying: "Pushing",
  exists: "Layer already exists",
  mounted: "Mounted from another repository",
  done: "Pushed",
};

/** Turns events into messages, and leaves out those that come too soon after the last of their layer. */
export class TransferMessages {
  readonly #toldAt = new Map<string, number>();
  readonly #send: (message: TransferMessage) => void;

  constructor(send: (message: TransferMessage) => void) {
    this.#send = send;
  }

  pull({ layer, status, current, total }: PullEvent): void {
    this.#tell(digestHex(layer).slice(0, 12), pullWords[status], current, total);
  }

  push({ blob, status, current }: CopyEvent): void {
    this.#tell(digestHex(blob.digest).slice(0, 12), pushWords[status], current, blob.size);
  }

  #tell(id: string, status: string, current: number | undefined, total: number | undefined): void {
    if (current === undefined) return this.#send({ status, id, progressDetail: {} });
    const now = performance.now();
    if (current !== total && now - (this.#toldAt.get(id) ?? -Infinity) < intervalMs) return;
    this.#toldAt.set(id, now);
    const detail = { current, ...(total === undefined ? {} : { total }) };
    this.#send({ status, id, progressDetail: detail, progress: progressText(current, total) });
  }
}

/** `[==>      ]  1.2MB/3.4MB`, which old clients print as it is. */
export function progressText(current: number, total: number | undefined): string {
  if (total === undefined || total <= 0 || current > total) return size(current);
  const filled = Math.floor((current / total) * 50);
  const bar = filled >= 50 ? "=".repeat(50) : `${"=".repeat(filled)}>`.padEnd(50);
  return `[${bar}] ${size(current).padStart(8)}/${size(total)}`;
}

function size(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000) return `${Number(value.toPrecision(4))}${unit}`;
    value /= 1000;
  }
  return `${Number(value.toPrecision(4))}TB`;
}
