/** ADD unpacks an archive by itself: telling whether a file is one, and its content as a tar stream. */
import { decompress, type PackItem, peek, type TreeRoot, type Trees } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import { isTarHead, onlyFile } from "./tar-content.ts";

export interface ArchiveFile {
  readonly root: TreeRoot;
  readonly path: string;
}

export interface ArchiveLimits {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** Compressions that docker unpacks and we do not, by their first bytes. */
const refused: readonly (readonly [magic: string, name: string, tool: string])[] = [
  ["425a68", "bzip2", "bunzip2"],
  ["fd377a585a00", "xz", "unxz"],
];

function refuse(file: ArchiveFile, head: Uint8Array): void {
  const hex = Buffer.from(head.subarray(0, 6)).toString("hex");
  for (const [magic, name, tool] of refused) {
    if (!hex.startsWith(magic)) continue;
    throw new GantryError("unsupported", `ADD cannot unpack ${file.path}: it is compressed with ${name}`, {
      hint: `use COPY if it shall stay as it is; else COPY it and run ${tool} in a RUN instruction`,
    });
  }
}

/** True for what docker would try as an archive: gzip, zstd, or a tar header. */
function mayBeArchive(head: Uint8Array): boolean {
  const hex = Buffer.from(head.subarray(0, 4)).toString("hex");
  return hex.startsWith("1f8b") || hex === "28b52ffd" || isTarHead(head);
}

/**
 * The tar inside a file, decompressed; undefined when the file is no archive (it is copied then).
 * @throws {GantryError} "unsupported" for bzip2 and xz
 */
export async function openArchive(
  trees: Trees,
  file: ArchiveFile,
  limits: ArchiveLimits,
): Promise<AsyncGenerator<Uint8Array, void, void> | undefined> {
  const items: readonly PackItem[] = [{ path: file.path, as: "archive" }];
  const outer = await peek(onlyFile(trees.pack(file.root, { items, signal: limits.signal })), 512);
  try {
    refuse(file, outer.head);
    if (mayBeArchive(outer.head)) {
      const inner = await peek(decompress(outer.all, { maxBytes: limits.maxBytes }), 512);
      if (isTarHead(inner.head)) return inner.all;
      await inner.all.return();
    }
  } catch (error) {
    await outer.all.return();
    // Broken compression means that it is no archive; docker copies it as it is.
    if (error instanceof GantryError && error.code === "corrupt") return undefined;
    throw error;
  }
  await outer.all.return();
  return undefined;
}
