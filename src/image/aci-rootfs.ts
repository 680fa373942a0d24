/** The two parts of an App Container image's archive: `manifest`, and all below `rootfs/` as a tar of its own. */
import { GantryError, type TarEntry, tarHeader, tarPadding, TarReader, tarTrailer } from "../lib/index.ts";
import { maxAciManifestBytes } from "./aci-manifest.ts";
import { archivePath } from "./tree-path.ts";

const zeros = new Uint8Array(1 << 16);

/**
 * The bytes of `manifest`, which may stand anywhere.
 * @throws {GantryError} "corrupt" when there is none, or it is too large
 */
export async function findAciManifest(tar: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const reader = new TarReader();
  const parts: Uint8Array[] = [];
  let isManifest = false;
  for await (const chunk of tar) {
    for (const event of reader.push(chunk)) {
      if (event.kind === "entry") isManifest = checkManifest(event.entry);
      else if (isManifest && event.kind === "data") parts.push(event.bytes.slice());
      else if (isManifest) return Buffer.concat(parts);
    }
  }
  reader.finish();
  throw new GantryError("corrupt", "the archive is no App Container image: it has no file manifest");
}

function checkManifest(entry: TarEntry): boolean {
  if (nameOf(entry.path) !== "manifest") return false;
  if (entry.type !== "file" || entry.size > maxAciManifestBytes)
    throw new GantryError("corrupt", "the manifest of the App Container image is no file, or too large");
  return true;
}

const nameOf = (path: string): string => archivePath(path).join("/");

/**
 * The root file system of an App Container image, as a tar.
 * @param whitelist absolute paths that are kept, with the directories above them; all when empty
 * @throws {GantryError} "corrupt" for an archive with something else in it, or without root file system
 */
export async function* aciRootfs(
  tar: AsyncIterable<Uint8Array>,
  whitelist: readonly string[],
): AsyncGenerator<Uint8Array, void, void> {
  const keeps = keeper(whitelist);
  const reader = new TarReader();
  let at: TarEntry | undefined;
  let position = 0;
  let any = false;
  for await (const chunk of tar) {
    for (const event of reader.push(chunk)) {
      if (event.kind === "entry") {
        const moved = below(event.entry);
        any ||= moved !== undefined;
        at = moved !== undefined && keeps(nameOf(moved.path)) ? moved : undefined;
        position = 0;
        if (at !== undefined) yield tarHeader(at);
      } else if (at !== undefined && event.kind === "data") {
        yield* hole(event.offset - position);
        yield event.bytes.slice();
        position = event.offset + event.bytes.length;
      } else if (at?.type === "file") {
        yield* hole(at.size - position);
        yield tarPadding(at.size);
      }
    }
  }
  reader.finish();
  if (!any) throw new GantryError("corrupt", "the App Container image has no directory rootfs");
  yield tarTrailer;
}

/** Of a sparse file: what is written is a file like others. */
function* hole(bytes: number): Generator<Uint8Array, void, void> {
  for (let left = bytes; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
}

/** An entry below `rootfs`, without that; undefined for the manifest and what stands above. */
function below(entry: TarEntry): TarEntry | undefined {
  const [first, ...rest] = archivePath(entry.path);
  if (first === undefined || (first === "manifest" && rest.length === 0)) return undefined;
  if (first !== "rootfs")
    throw new GantryError(
      "corrupt",
      `the App Container image has ${JSON.stringify(entry.path.slice(0, 200))} beside manifest and rootfs`,
    );
  const path = rest.length === 0 ? "./" : rest.join("/");
  if (entry.type !== "hardlink") return { ...entry, path };
  const [top, ...target] = archivePath(entry.linkPath);
  if (top !== "rootfs")
    throw new GantryError(
      "corrupt",
      `hard link ${JSON.stringify(entry.path)} to ${JSON.stringify(entry.linkPath)}, which is not in the rootfs`,
    );
  return { ...entry, path, linkPath: target.join("/") };
}

/** Tells what a whitelist keeps: its paths and the directories that lead to them. */
function keeper(whitelist: readonly string[]): (name: string) => boolean {
  if (whitelist.length === 0) return () => true;
  const kept = new Set([""]);
  for (const path of whitelist) {
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    for (let length = parts.length; length > 0; length--) kept.add(parts.slice(0, length).join("/"));
  }
  return (name) => kept.has(name);
}
