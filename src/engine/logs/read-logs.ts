/** The Docker log API as a view of the monitor's CRI log. */
import { watch } from "node:fs";
import { dirname } from "node:path";
import { disposeAll, findTail, type LineFile, openLog, openSuccessors } from "./log-files.ts";
import { type LogQuery, parseCriLine, renderRecord, selects } from "./cri-line.ts";

export interface ReadLogs {
  readonly path: string;
  readonly query: LogQuery;
  /** Messages with Docker's 8-byte header. */
  readonly framed: boolean;
  /** Given: go on until it resolves (the container has ended) and all is read. */
  readonly until?: Promise<unknown>;
  readonly signal: AbortSignal;
}

/** Chunks for the client. Ends at the log's end, or when following, when the container has ended or the client has gone. */
export async function* readLogs(request: ReadLogs): AsyncGenerator<Uint8Array> {
  const { path, query, signal } = request;
  using changes = request.until === undefined ? undefined : watchChanges(path, request.until, signal);
  const renderer = createRenderer(request);
  const files = openLog(path);
  try {
    if (query.tail !== "all") seekTail(files, query.tail);
    while (!signal.aborted) {
      using file = files.shift();
      if (file === undefined) {
        if (changes === undefined || !(await changes.next())) return;
        files.push(...openLog(path));
        continue;
      }
      for (let rotated = false; ;) {
        const ended = changes?.ended ?? true;
        const lines = file.next(changes === undefined ? file.size : Infinity);
        const { chunks, past } = renderer(lines);
        if (chunks.length > 0) yield Buffer.concat(chunks);
        if (past || signal.aborted) return;
        if (lines.length > 0) continue;
        if (rotated) break;
        if (files.length === 0 && changes !== undefined) files.push(...openSuccessors(path, file.inode));
        // Rotated: what was written between the last read and the rotation is still to be read, once.
        rotated = files.length > 0;
        if (rotated) continue;
        // `ended` was read before the last look at the file: nothing can have been written in between.
        if (changes === undefined || ended) return;
        await changes.next();
      }
    }
  } finally {
    disposeAll(files);
  }
}

/** Leaves of `files` those with the last `count` records, the first standing where they begin. */
function seekTail(files: LineFile[], count: number): void {
  const start = findTail(files, count);
  if (start === undefined) return;
  disposeAll(files.splice(0, start.index));
  files[0]?.seek(start.position);
}

function createRenderer(
  request: ReadLogs,
): (lines: readonly Uint8Array[]) => { chunks: Uint8Array[]; past: boolean } {
  const startsLine = { 1: true, 2: true };
  return (lines) => {
    const chunks: Uint8Array[] = [];
    for (const line of lines) {
      const record = parseCriLine(line);
      if (record === undefined) continue;
      const verdict = selects(request.query, record);
      if (verdict === "past") return { chunks, past: true };
      if (verdict === "yes")
        chunks.push(renderRecord(record, request.query, request.framed, startsLine[record.stream]));
      startsLine[record.stream] = record.full;
    }
    return { chunks, past: false };
  };
}

interface Changes extends Disposable {
  /** The container has ended: what is in the log is all. */
  readonly ended: boolean;
  /** Resolves at the next change; false once ended. */
  next(): Promise<boolean>;
}

/** Wakes at each write below the log's directory (inotify), at the container's end and when the client goes. */
function watchChanges(path: string, until: Promise<unknown>, signal: AbortSignal): Changes {
  let ended = false;
  let changed = false;
  let wake = (): void => undefined;
  const note = (): void => {
    changed = true;
    wake();
  };
  const end = (): void => {
    ended = true;
    note();
  };
  const watcher = watch(dirname(path), note);
  watcher.on("error", end);
  until.then(end, end);
  signal.addEventListener("abort", end, { once: true });
  return {
    get ended() {
      return ended;
    },
    async next() {
      if (!changed) await new Promise<void>((resolve) => (wake = resolve));
      changed = false;
      return !ended;
    },
    [Symbol.dispose]() {
      watcher.close();
      signal.removeEventListener("abort", end);
    },
  };
}
