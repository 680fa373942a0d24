/**
 * The builder's directories:
 *
 *     ROOT/active/ID/       one running build: context/, layers/N/{upper,work}, downloads/N; removed when it ends
 *     ROOT/steps/KEY        one line: the image that the step with this cache key made
 *     ROOT/empty/           an empty lower directory, for commands on an image without layers
 *
 * After a crash everything below active/ is garbage; images made so far stay, without a name, as cache.
 */
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, readdir, stat } from "node:fs/promises";
import { removeTree } from "./remove-tree.ts";

export interface LayerDirs {
  readonly dir: string;
  readonly upper: string;
  readonly work: string;
}

export class WorkArea implements AsyncDisposable {
  readonly #dir: string;
  #count = 0;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Removes what builds before a crash left. */
  static async removeLeftovers(root: string): Promise<void> {
    await mkdir(`${root}/active`, { recursive: true, mode: 0o700 });
    for (const name of await readdir(`${root}/active`)) await removeTree(`${root}/active/${name}`);
  }

  static async open(root: string): Promise<WorkArea> {
    const dir = `${root}/active/${randomBytes(8).toString("hex")}`;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return new WorkArea(dir);
  }

  /** A new directory in it. */
  async directory(name: string): Promise<string> {
    const dir = `${this.#dir}/${name}`;
    await mkdir(dir, { recursive: true, mode: 0o755 });
    return dir;
  }

  /**
   * Upper and work directory for one step. Removed with `release`.
   * @param below the layer under it: the root directory of an overlay shows the attributes of the upper one
   */
  async layer(below: string | undefined): Promise<LayerDirs> {
    const dir = await this.directory(`layers/${this.#count++}`);
    const [upper, work] = [`${dir}/upper`, `${dir}/work`];
    await mkdir(upper, { mode: 0o755 });
    await mkdir(work, { mode: 0o755 });
    if (below !== undefined) {
      const { mode, uid, gid } = await stat(below);
      await chown(upper, uid, gid);
      await chmod(upper, mode & 0o7777);
    }
    return { dir, upper, work };
  }

  async release(layer: LayerDirs): Promise<void> {
    await removeTree(layer.dir);
  }

  /** A new directory for one download. */
  download(): Promise<string> {
    return this.directory(`downloads/${this.#count++}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.#dir);
  }
}

/** A directory with nothing in it. */
export async function emptyDirectory(root: string): Promise<string> {
  const dir = `${root}/empty`;
  await mkdir(dir, { recursive: true, mode: 0o755 });
  return dir;
}
