/** The sources of COPY and ADD: words to files that exist. */
import type { TreeRoot, Trees } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import type { CopyAction, PlannedFile } from "../plan/step.ts";
import { openArchive } from "./archive.ts";
import { download, isGit, isUrl } from "./download.ts";
import { hasWildcards, matchSources } from "./match-sources.ts";
import type { TreeView } from "./tree-view.ts";

/** One thing to copy. `name` is what it is called in a destination directory. */
export type Source =
  | {
      readonly kind: "file" | "dir";
      readonly root: TreeRoot;
      readonly path: string;
      readonly name: string;
      /** Permission bits of a fetched file. */
      readonly mode?: number;
    }
  /** A local archive that ADD unpacks. */
  | { readonly kind: "archive"; readonly root: TreeRoot; readonly path: string; readonly name: string }
  | { readonly kind: "inline"; readonly name: string; readonly file: PlannedFile };

export interface SourceOptions {
  readonly trees: Trees;
  /** The tree that is copied from. */
  readonly from: TreeView;
  /** False for the build context, out of which no path may lead. */
  readonly fromImage: boolean;
  /** Makes a directory for one download. */
  readonly downloadDir: () => Promise<string>;
  readonly maxDownloadBytes: number;
  /** Most bytes that an archive may hold. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * The path relative to the tree's root, `.` and `..` resolved by their words; "" for the root.
 * @throws {GantryError} "invalid" for a path that leads out of the build context
 */
function cleanSource(source: string, fromImage: boolean): string {
  const parts: string[] = [];
  for (const part of source.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined && !fromImage)
        throw new GantryError(
          "invalid",
          `forbidden path outside the build context: ${source.slice(0, 200)} ()`,
          {
            hint: "copy the file into the build context, or build with a folder above it",
          },
        );
    } else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function notFound(path: string, fromImage: boolean): GantryError {
  const where = fromImage ? "" : "file not found in build context or excluded by .dockerignore: ";
  return new GantryError("not-found", `${where}stat ${path}: file does not exist`, { fields: { path } });
}

async function sourceAt(path: string, action: CopyAction, options: SourceOptions): Promise<Source> {
  const { root } = options.from;
  const kind = path === "" ? "dir" : await options.from.kindOf(`/${path}`);
  if (kind === undefined) throw notFound(path, options.fromImage);
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (kind === "dir") return { kind: "dir", root, path, name };
  if (kind === "file" && action.instruction === "ADD") {
    const { trees, maxBytes, signal } = options;
    const archive = await openArchive(trees, { root, path }, { maxBytes, signal });
    await archive?.return();
    if (archive !== undefined) return { kind: "archive", root, path, name };
  }
  return { kind: "file", root, path, name };
}

async function fetchSource(url: string, action: CopyAction, options: SourceOptions): Promise<Source> {
  if (action.instruction === "COPY")
    throw new GantryError("invalid", "source can't be a URL for COPY", { hint: "use ADD" });
  const dir = await options.downloadDir();
  const { maxDownloadBytes: maxBytes, signal } = options;
  const name = await download({ url, dir, maxBytes, checksum: action.checksum, signal });
  if (name === undefined && action.destination.endsWith("/")) {
    throw new GantryError("invalid", `cannot determine filename for source ${url}`, {
      hint: "name the file in the destination, without a slash at its end",
    });
  }
  return { kind: "file", root: { dir }, path: "file", name: name ?? "file", mode: 0o600 };
}

async function sourcesOf(
  word: string,
  action: CopyAction,
  options: SourceOptions,
): Promise<readonly Source[]> {
  if (isGit(word)) {
    throw new GantryError("unsupported", `ADD cannot fetch the git repository ${word.slice(0, 200)}`, {
      hint: "clone it in a RUN instruction, or before the build",
    });
  }
  if (isUrl(word)) return [await fetchSource(word, action, options)];
  const path = cleanSource(word, options.fromImage);
  if (!hasWildcards(path)) return [await sourceAt(path, action, options)];
  const matches = await matchSources(options.from, path, options.signal);
  const sources: Source[] = [];
  for (const match of matches) sources.push(await sourceAt(match, action, options));
  return sources;
}

/**
 * Everything that the instruction names, in its order. URLs are fetched.
 * @throws {GantryError} in docker's words for what is missing, outside or unsupported
 */
export async function findSources(action: CopyAction, options: SourceOptions): Promise<readonly Source[]> {
  const found: Source[] = [];
  for (const word of action.sources) found.push(...(await sourcesOf(word, action, options)));
  for (const file of action.inline) found.push({ kind: "inline", name: file.name, file });
  if (found.length === 0) throw new GantryError("not-found", "no source files were specified");
  if (found.length > 1 && !action.destination.endsWith("/")) {
    throw new GantryError(
      "invalid",
      `When using ${action.instruction} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  return found;
}
