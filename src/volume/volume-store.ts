/** Volumes: directories that outlive containers. Records in SQLite, data in ROOT/volumes/NAME/_data. */
import { chmodSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Database,
  GantryError,
  isErrno,
  type Logger,
  messageOf,
  newId,
  type Row,
  toGantryError,
} from "../lib/index.ts";
import {
  anonymousLabel,
  checkVolumeDriver,
  checkVolumeName,
  type CreateVolumeRequest,
  type Volume,
} from "./volume.ts";

export interface VolumeStoreOptions {
  /** The engine's --root. */
  readonly root: string;
  readonly db: Database;
  readonly logger: Logger;
  readonly now?: () => number;
}

export interface PruneVolumesResult {
  readonly deleted: readonly string[];
  readonly reclaimedBytes: number;
}

const schema = [
  `CREATE TABLE volume (
    name TEXT PRIMARY KEY,
    created_at_ms INTEGER NOT NULL,
    anonymous INTEGER NOT NULL,
    labels TEXT NOT NULL,
    options TEXT NOT NULL
  ) STRICT`,
];

/** Directories of this prefix are volumes on their way out; no volume can have such a name. */
const trash = ".removed-";

export class VolumeStore {
  readonly #db: Database;
  readonly #dir: string;
  readonly #logger: Logger;
  readonly #now: () => number;

  /** Opens the store and clears away what a crash left: a record always comes first and goes first. */
  constructor({ root, db, logger, now = Date.now }: VolumeStoreOptions) {
    this.#db = db;
    this.#dir = join(root, "volumes");
    this.#logger = logger;
    this.#now = now;
    db.migrate("volume", schema);
    mkdirSync(this.#dir, { recursive: true, mode: 0o711 });
    this.#reconcile();
  }

  /**
   * Makes a volume, or returns the one of that name.
   * @throws {GantryError} "invalid" name or option, "not-found" driver, "exhausted" disk
   */
  create(request: CreateVolumeRequest): Volume {
    const name = request.name || newId();
    const anonymous = request.anonymous ?? !request.name;
    checkVolumeName(name);
    checkVolumeDriver(
      request.driver === undefined || request.driver === "" ? "local" : request.driver,
      request.options,
    );
    const existing = this.tryFind(name);
    if (existing !== undefined) return existing;
    const labels = anonymous ? { ...request.labels, [anonymousLabel]: "" } : request.labels;
    this.#db.run(
      "INSERT INTO volume VALUES (?, ?, ?, ?, ?)",
      name,
      this.#now(),
      anonymous ? 1 : 0,
      JSON.stringify(labels),
      JSON.stringify(request.options),
    );
    try {
      this.#makeDir(name);
    } catch (error) {
      this.#db.run("DELETE FROM volume WHERE name = ?", name);
      throw toGantryError(error, `create volume ${name}`);
    }
    return this.find(name);
  }

  /** @throws {GantryError} "not-found" */
  find(name: string): Volume {
    const volume = this.tryFind(name);
    if (volume === undefined) {
      throw new GantryError("not-found", `get ${name.slice(0, 255)}: no such volume`, {
        hint: "see what there is with: gantry volume ls",
      });
    }
    return volume;
  }

  tryFind(name: string): Volume | undefined {
    const row = this.#db.get("SELECT * FROM volume WHERE name = ?", name);
    return row === undefined ? undefined : this.#volumeOf(row);
  }

  /** All volumes by name. */
  list(): readonly Volume[] {
    return this.#db.all("SELECT * FROM volume ORDER BY name").map((row) => this.#volumeOf(row));
  }

  /**
   * Deletes a volume with its data: at once for everyone who looks, on disk when the promise resolves. Whether a
   * container uses it is the caller's to know.
   * @param force a missing volume is fine
   * @throws {GantryError} "not-found"
   */
  async remove(name: string, { force }: { readonly force: boolean }): Promise<void> {
    if (this.tryFind(name) === undefined) {
      if (force) return;
      this.find(name);
    }
    this.#db.run("DELETE FROM volume WHERE name = ?", name);
    await this.#discard(name);
  }

  /** Deletes the volumes that `inUse` does not name and `mayGo` agrees to: anonymous ones, or all. */
  async prune(
    inUse: ReadonlySet<string>,
    { all, mayGo = () => true }: { readonly all: boolean; readonly mayGo?: (volume: Volume) => boolean },
  ): Promise<PruneVolumesResult> {
    const deleted: string[] = [];
    let reclaimedBytes = 0;
    for (const volume of this.list()) {
      if (inUse.has(volume.name) || !(all || volume.anonymous) || !mayGo(volume)) continue;
      reclaimedBytes += await this.usage(volume.name);
      await this.remove(volume.name, { force: true });
      deleted.push(volume.name);
    }
    return { deleted, reclaimedBytes };
  }

  /** Bytes that the volume's files have on disk. Walks the directory: for `system df` only. */
  async usage(name: string): Promise<number> {
    return await diskBytes(this.find(name).path);
  }

  #volumeOf(row: Row): Volume {
    const name = String(row["name"]);
    return {
      name,
      driver: "local",
      createdAtMs: Number(row["created_at_ms"]),
      labels: parseMap(row["labels"]),
      options: parseMap(row["options"]),
      anonymous: row["anonymous"] === 1,
      path: join(this.#dir, name, "_data"),
    };
  }

  #makeDir(name: string): void {
    const data = join(this.#dir, name, "_data");
    mkdirSync(data, { recursive: true });
    // Whatever the umask: the container's users must be able to enter.
    chmodSync(join(this.#dir, name), 0o711);
    chmodSync(data, 0o755);
  }

  /** Renames first: whatever happens then, no half-deleted volume comes back under its name. */
  async #discard(name: string): Promise<void> {
    const aside = join(this.#dir, `${trash}${newId().slice(0, 16)}`);
    try {
      renameSync(join(this.#dir, name), aside);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return;
      throw toGantryError(error, `remove volume ${name}`);
    }
    await this.#deleteTree(aside);
  }

  async #deleteTree(path: string): Promise<void> {
    try {
      await rm(path, { recursive: true, force: true });
    } catch (error) {
      // A mount inside, an immutable file: the volume is gone, its bytes stay until the next start tries again.
      this.#logger.warn("volume.leftover", { path, error: messageOf(error) });
    }
  }

  #reconcile(): void {
    const known = new Set(this.list().map((volume) => volume.name));
    for (const name of readdirSync(this.#dir)) {
      // Large trees take their time: the engine is ready before. Never rejects.
      if (name.startsWith(trash)) void this.#deleteTree(join(this.#dir, name));
      // A directory without a record may hold a user's data (a restored backup): it is told, not deleted.
      else if (!known.has(name))
        this.#logger.warn("volume.unknown-directory", { path: join(this.#dir, name) });
    }
    for (const name of known) this.#makeDir(name);
  }
}

function parseMap(value: Row[string] | undefined): Readonly<Record<string, string>> {
  const parsed: unknown = JSON.parse(String(value));
  if (typeof parsed !== "object" || parsed === null) return {};
  return Object.fromEntries(Object.entries(parsed).map(([key, text]) => [key, String(text)]));
}

async function diskBytes(path: string): Promise<number> {
  const seen = new Set<string>();
  let total = 0;
  const pending = [path];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    try {
      const stat = await lstat(next);
      const key = `${stat.dev}:${stat.ino}`;
      if (stat.nlink > 1 && !stat.isDirectory() && seen.has(key)) continue;
      seen.add(key);
      total += stat.blocks * 512;
      if (stat.isDirectory()) for (const name of await readdir(next)) pending.push(join(next, name));
    } catch (error) {
      // ENOENT, ENOTDIR: a container changed it while we looked.
      if (!isErrno(error, "ENOENT", "ENOTDIR")) throw toGantryError(error, `measure ${path}`);
    }
  }
  return total;
}
