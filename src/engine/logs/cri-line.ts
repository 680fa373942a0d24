/** One record of a CRI log: `TIME STREAM TAG TEXT\n`, as the monitor writes it and the Kubernetes CRI has it. Pure. */

export interface LogQuery {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Prefix each line with its time. */
  readonly timestamps: boolean;
  /** Nanoseconds since 1970, inclusive; 0: from the start. */
  readonly sinceNs: bigint;
  /** 0: to the end. */
  readonly untilNs: bigint;
  /** Lines from the end, or all. */
  readonly tail: number | "all";
}

export interface LogRecord {
  readonly time: string;
  readonly stream: 1 | 2;
  /** The text ends a line: the reader adds the newline. */
  readonly full: boolean;
  readonly text: Uint8Array;
}

const space = 0x20;

/** Undefined for a line that is no record (cut off by a full disk). */
export function parseCriLine(line: Uint8Array): LogRecord | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  const third = line.indexOf(space, second + 1);
  if (first < 20 || second < 0 || third !== second + 2) return undefined;
  const tag = line[second + 1];
  const stream = Buffer.from(line.buffer, line.byteOffset + first + 1, second - first - 1).toString("latin1");
  if ((stream !== "stdout" && stream !== "stderr") || (tag !== 0x46 && tag !== 0x50)) return undefined;
  return {
    time: Buffer.from(line.buffer, line.byteOffset, first).toString("latin1"),
    stream: stream === "stdout" ? 1 : 2,
    full: tag === 0x46,
    text: line.subarray(third + 1),
  };
}

/** `2026-11-24T06:03:48.123456789Z` as nanoseconds since 1970. */
export function timeToNs(time: string): bigint {
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? "0";
  const seconds = Date.parse(`${time.slice(0, 19)}Z`);
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** "yes", "no", or "past" when this record and all later ones are after `untilNs`. */
export function selects(query: LogQuery, record: LogRecord): "yes" | "no" | "past" {
  if (query.sinceNs !== 0n || query.untilNs !== 0n) {
    const at = timeToNs(record.time);
    if (query.untilNs !== 0n && at > query.untilNs) return "past";
    if (at < query.sinceNs) return "no";
  }
  return (record.stream === 1 ? query.stdout : query.stderr) ? "yes" : "no";
}

const newline = Uint8Array.of(0x0a);

/**
 * The bytes a client gets for a record.
 * @param framed Docker's 8-byte header before each message (containers without a terminal)
 */
export function renderRecord(
  record: LogRecord,
  query: LogQuery,
  framed: boolean,
  startsLine: boolean,
): Uint8Array {
  const stamp = query.timestamps && startsLine ? Buffer.from(`${record.time} `, "latin1") : new Uint8Array(0);
  const parts = [stamp, record.text, record.full ? newline : new Uint8Array(0)];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (!framed) return Buffer.concat(parts, length);
  const header = Buffer.alloc(8);
  header[0] = record.stream;
  header.writeUInt32BE(length, 4);
  return Buffer.concat([header, ...parts], length + 8);
}
