/** Reading one tree (a context, an image) for decisions: what is at a path, what matches a pattern, who is `nobody`. */
import type { TreeRoot, Trees } from "../../image/index.ts";

export type FileKind = "file" | "dir" | "symlink" | "other";

export interface FoundFile {
  /** Below the path that was looked at. */
  readonly path: string;
  readonly kind: FileKind;
}

export class TreeView {
  readonly root: TreeRoot;
  readonly #trees: Trees;
  readonly #texts = new Map<string, string | undefined>();

  constructor(trees: Trees, root: TreeRoot) {
    this.#trees = trees;
    this.root = root;
  }

  /** What is at `path`, looked through links inside the tree; undefined for nothing. */
  async kindOf(path: string): Promise<FileKind | undefined> {
    return (await this.#trees.list(this.root, path, { recursive: false }))?.[0]?.type;
  }

  /** What is below the directory `path`, sorted, links not followed; empty when it is none. */
  async below(path: string, recursive: boolean): Promise<readonly FoundFile[]> {
    const listed = await this.#trees.list(this.root, path, { recursive });
    return (listed ?? [])
      .filter((entry) => entry.path !== "")
      .map((entry) => ({ path: entry.path, kind: entry.type }));
  }

  /** A small text file, undefined when it is missing; remembered. */
  async text(path: string, maxBytes: number): Promise<string | undefined> {
    if (this.#texts.has(path)) return this.#texts.get(path);
    const bytes = await this.#trees.readFile(this.root, path, maxBytes);
    const text = bytes === undefined ? undefined : new TextDecoder().decode(bytes);
    this.#texts.set(path, text);
    return text;
  }
}
