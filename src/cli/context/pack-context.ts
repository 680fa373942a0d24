/** A folder as the tar stream of a build context. */
import { closeSync, lstatSync, openSync, readSync, type Stats } from "node:fs";
import { fsName, linkTarget, namesIn } from "../../lib/index.ts";
import { CliError, hasErrno } from "../errors.ts";
import type { IgnoreRules } from "./ignore-rules.ts";
import { tarEnd, type TarEntry, tarHeader, tarPadding } from "./tar-header.ts";

const pieceBytes = 256 << 10;

/** A file that is sent though it does not lie in the folder. */
export interface ExtraFile {
  readonly name: string;
  readonly text: Uint8Array;
}

export interface Context {
  /** Empty: there is none, only the extra files. */
  readonly folder: string;
  readonly ignore: IgnoreRules;
  readonly extra: readonly ExtraFile[];
}

/** The archive, made piece by piece as it is sent. Files belong to root; folders come before what they hold. */
export function packContext(context: Context): ReadableStream<Uint8Array> {
  const pieces = packPieces(context);
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const { done, value } = pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => void pieces.return(undefined),
    },
    { highWaterMark: 4 },
  );
}

function* packPieces({ folder, ignore, extra }: Context): Generator<Uint8Array, undefined> {
  if (folder !== "") yield* packFolder(folder, "", ignore);
  for (const { name, text } of extra) {
    yield tarHeader({ name, kind: "file", mode: 0o600, bytes: text.length, mtime: 0 });
    yield text;
    yield tarPadding(text.length);
  }
  yield tarEnd;
}

function* packFolder(root: string, below: string, ignore: IgnoreRules): Generator<Uint8Array> {
  for (const name of namesIn(`${root}/${below}`).toSorted()) {
    const path = below === "" ? name : `${below}/${name}`;
    const ignored = ignore.ignores(path);
    const stat = statOf(`${root}/${path}`);
    if (stat === undefined) continue;
    if (stat.isDirectory()) {
      if (!ignored) yield tarHeader(entryOf(`${path}/`, "directory", stat));
      if (!ignored || !ignore.skips(path)) yield* packFolder(root, path, ignore);
    } else if (!ignored) yield* packOne(root, path, stat);
  }
}

function* packOne(root: string, path: string, stat: Stats): Generator<Uint8Array> {
  if (stat.isSymbolicLink())
    yield tarHeader({ ...entryOf(path, "symlink", stat), target: linkTarget(`${root}/${path}`) });
  else if (stat.isFIFO()) yield tarHeader(entryOf(path, "fifo", stat));
  // Sockets and devices cannot be built from; docker leaves sockets out too.
  else if (stat.isFile()) yield* packFile(root, path, stat);
}

/** Undefined for a file that vanished while the folder was read. */
function statOf(path: string): Stats | undefined {
  return lstatSync(fsName(path), { throwIfNoEntry: false });
}

function entryOf(name: string, kind: TarEntry["kind"], stat: Stats): TarEntry {
  return {
    name,
    kind,
    mode: stat.mode,
    bytes: kind === "file" ? stat.size : 0,
    mtime: Math.floor(stat.mtimeMs / 1000),
  };
}

function* packFile(root: string, path: string, stat: Stats): Generator<Uint8Array> {
  let fd: number;
  try {
    fd = openSync(fsName(`${root}/${path}`), "r");
  } catch (error) {
    if (hasErrno(error, "EACCES"))
      throw new CliError(`no permission to read from '${path}'`, {
        hint: "leave it out with a line in .dockerignore",
      });
    throw error;
  }
  try {
    yield tarHeader(entryOf(path, "file", stat));
    let left = stat.size;
    while (left > 0) {
      const piece = new Uint8Array(Math.min(left, pieceBytes));
      const read = readSync(fd, piece);
      if (read === 0)
        throw new CliError(`${path} became shorter while it was sent`, { hint: "run the build again" });
      left -= read;
      yield piece.subarray(0, read);
    }
    yield tarPadding(stat.size);
  } finally {
    closeSync(fd);
  }
}
