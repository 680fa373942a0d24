/** Docker's words for what a pull or a push is doing, layer by layer. Pure but for the clock that spares messages. */
import type { CopyEvent } from "../../distribution/index.ts";
import type { PullEvent } from "../../image/index.ts";
import { type Digest, digestHex } from "../../lib/index.ts";

/** Docker tells no more often, either. */
const intervalMs = 100;

interface TransferMessage {
  readonly status: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly progress?: string;
}

type Send = (message: TransferMessage) => void;

/** Docker's short form. */
const shortId = (digest: Digest): string => digestHex(digest).slice(0, 12);

/** Sends the progress of layers, and leaves out what comes too soon after the last of the same layer. */
class LayerLines {
  readonly #toldAt = new Map<Digest, number>();
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  tell(layer: Digest, status: string, current?: number, total?: number): void {
    const id = shortId(layer);
    if (current === undefined) return this.#send({ status, id, progressDetail: {} });
    const now = performance.now();
    if (current !== total && now - (this.#toldAt.get(layer) ?? -Infinity) < intervalMs) return;
    this.#toldAt.set(layer, now);
    const detail = { current, ...(total === undefined ? {} : { total }) };
    this.#send({ status, id, progressDetail: detail, progress: progressText(current, total) });
  }
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

/** As many as the store transfers at a time: the others are told to wait. */
const pullsAtOnce = 3;

export class PullMessages {
  readonly #lines: LayerLines;
  /** Layers that are told to be on their way. */
  readonly #told = new Set<Digest>();
  readonly #under = new Set<Digest>();
  readonly #verified = new Set<Digest>();
  /** Layers that were here before are worth a line only beside others: docker says nothing of them when the image is here. */
  #here: Digest[] | undefined = [];

  constructor(send: Send) {
    this.#lines = new LayerLines(send);
  }

  tell({ layer, status, current, total }: PullEvent): void {
    if (status === "exists") return this.#tellExists(layer);
    this.tellHere();
    if (status === "waiting") return this.#tellWaiting(layer);
    if (status === "verifying") this.#verified.add(layer);
    if (status === "downloaded") {
      // The store digests while it reads: at the end of the download it has verified.
      if (!this.#verified.has(layer)) this.#lines.tell(layer, pullWords.verifying);
      this.#under.delete(layer);
    }
    this.#lines.tell(layer, pullWords[status], current, total);
  }

  /** Says which layers were here before. */
  tellHere(): void {
    const layers = this.#here ?? [];
    this.#here = undefined;
    for (const layer of layers) this.#lines.tell(layer, pullWords.exists);
  }

  #tellExists(layer: Digest): void {
    if (this.#here === undefined) this.#lines.tell(layer, pullWords.exists);
    else this.#here.push(layer);
  }

  /** Once a layer: it may wait for another client's pull several times. */
  #tellWaiting(layer: Digest): void {
    if (this.#told.has(layer)) return;
    this.#told.add(layer);
    this.#lines.tell(layer, pullWords.waiting);
    this.#under.add(layer);
    if (this.#under.size > pullsAtOnce) this.#lines.tell(layer, "Waiting");
  }
}

/** As many blobs as copyImage sends at a time. */
const pushesAtOnce = 4;

/** Tells of layers by their diff ids, as docker does; of the config it says nothing. */
export class PushMessages {
  readonly #lines: LayerLines;
  readonly #diffIds: readonly Digest[];
  /** The digest of a layer's archive to its diff id. */
  #names: ReadonlyMap<Digest, Digest> = new Map();

  /** @param diffIds bottom first, as the config has them */
  constructor(send: Send, diffIds: readonly Digest[]) {
    this.#lines = new LayerLines(send);
    this.#diffIds = diffIds;
    for (const [i, diffId] of [...new Set(diffIds)].reverse().entries()) {
      this.#lines.tell(diffId, "Preparing");
      if (i >= pushesAtOnce) this.#lines.tell(diffId, "Waiting");
    }
  }

  /** @param layers the digests of the archives, bottom first */
  know(layers: readonly Digest[]): void {
    this.#names = new Map(
      layers.flatMap((layer, i) => (this.#diffIds[i] ? [[layer, this.#diffIds[i]]] : [])),
    );
  }

  tell({ blob, status, current, from }: CopyEvent): void {
    const layer = this.#names.get(blob.digest);
    if (layer === undefined) return;
    if (status === "copying") this.#lines.tell(layer, "Pushing", current, blob.size);
    else if (status === "exists") this.#lines.tell(layer, "Layer already exists");
    else if (status === "mounted") this.#lines.tell(layer, `Mounted from ${from ?? "another repository"}`);
    else if (status === "done") this.#lines.tell(layer, "Pushed");
  }
}

/** `[==>      ]  1.2MB/3.4MB`, which old clients print as it is. */
function progressText(current: number, total: number | undefined): string {
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
