/**
 * Which image a step made, by everything its result depends on. One small file a step, written before anybody relies on
 * it and replaced as a whole: a lost or dangling entry is a miss, never a wrong image.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import type { ContainerDefaults, ImageRecord } from "../image/index.ts";
import { type Digest, digestHex, isDigest, isErrno, sha256 } from "../lib/index.ts";

export interface StepKey {
  /** Image before the step; undefined for scratch. */
  readonly parent: Digest | undefined;
  /** The command as docker has it in the container's configuration: words, so that ["a b"] is not ["a", "b"]. */
  readonly command: readonly string[];
  /** The configuration after the step. */
  readonly config: ContainerDefaults;
  readonly author: string | undefined;
  /** What else the result depends on: owner, mode, network. */
  readonly extra?: Readonly<Record<string, string | number | undefined>>;
}

/** JSON with sorted keys: equal values give equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    item !== null && typeof item === "object" && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

/** The name of a step in the cache. */
export function stepKeyDigest(key: StepKey): string {
  return digestHex(sha256(canonical({ version: 1, ...key })));
}

/** What the cache asks of the image store. */
export interface CachedImages {
  tryFind(reference: string): ImageRecord | undefined;
}

export class StepCache {
  readonly #dir: string;
  readonly #images: CachedImages;

  constructor(dir: string, images: CachedImages) {
    this.#dir = dir;
    this.#images = images;
  }

  /** Drops entries whose image is gone, and with `halfWritten` those that no build is at. */
  async prune(halfWritten: boolean): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#dir)) {
      const isWhole = /^[0-9a-f]{64}$/.test(name);
      if (!isWhole && !halfWritten) continue;
      const id = isWhole ? await this.#read(name) : undefined;
      if (id === undefined || this.#images.tryFind(id) === undefined)
        await rm(`${this.#dir}/${name}`, { force: true });
    }
  }

  async find(key: StepKey): Promise<ImageRecord | undefined> {
    const id = await this.#read(stepKeyDigest(key));
    const record = id === undefined ? undefined : this.#images.tryFind(id);
    return record?.parent === key.parent ? record : undefined;
  }

  async store(key: StepKey, id: Digest): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const temporary = `${this.#dir}/.${randomBytes(8).toString("hex")}`;
    try {
      await writeFile(temporary, id, { flag: "wx", mode: 0o600 });
      await rename(temporary, `${this.#dir}/${stepKeyDigest(key)}`);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #read(name: string): Promise<Digest | undefined> {
    try {
      const text = await readFile(`${this.#dir}/${name}`, "utf8");
      return isDigest(text) ? text : undefined;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }
}
