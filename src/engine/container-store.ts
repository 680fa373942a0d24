/** The records of all containers: in memory for reading, in SQLite first for every change. */
import { type Database, GantryError } from "../lib/index.ts";
import { canBecome, type ContainerRecord, type ContainerState, initialState } from "./container.ts";
import { defaultHostConfig } from "./create-defaults.ts";

export interface StoredContainer {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
}

const migrations = [
  `CREATE TABLE containers (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     record TEXT NOT NULL,
     state TEXT NOT NULL
   ) STRICT`,
];

export class ContainerStore {
  readonly #db: Database;
  readonly #byId = new Map<string, StoredContainer>();
  readonly #byName = new Map<string, string>();

  constructor(db: Database) {
    this.#db = db;
    db.migrate("engine", migrations);
    for (const row of db.all("SELECT id, name, record, state FROM containers")) {
      const record = complete(JSON.parse(String(row["record"])) as ContainerRecord);
      const state: ContainerState = {
        ...initialState,
        ...(JSON.parse(String(row["state"])) as ContainerState),
      };
      this.#byId.set(record.id, { record, state });
      this.#byName.set(record.name, record.id);
    }
  }

  /** @throws {GantryError} "conflict" when the name is taken, worded as Docker does */
  insert(record: ContainerRecord): StoredContainer {
    const holder = this.#byName.get(record.name);
    if (holder !== undefined) {
      throw new GantryError(
        "conflict",
        `Conflict. The container name "/${record.name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
        { hint: `remove it with: gantry rm ${record.name}` },
      );
    }
    const stored = { record, state: initialState };
    this.#db.run(
      "INSERT INTO containers VALUES (?, ?, ?, ?)",
      record.id,
      record.name,
      JSON.stringify(record),
      JSON.stringify(initialState),
    );
    this.#byId.set(record.id, stored);
    this.#byName.set(record.name, record.id);
    return stored;
  }

  /**
   * Changes the state, on disk first.
   * @throws {GantryError} "conflict" on a transition that the state machine does not know
   */
  update(id: string, change: Partial<ContainerState>): ContainerState {
    const stored = this.get(id);
    const state = { ...stored.state, ...change };
    if (!canBecome(stored.state.status, state.status)) {
      throw new GantryError(
        "conflict",
        `container ${id} cannot go from ${stored.state.status} to ${state.status}`,
      );
    }
    this.#db.run("UPDATE containers SET state = ? WHERE id = ?", JSON.stringify(state), id);
    this.#byId.set(id, { record: stored.record, state });
    return state;
  }

  rename(id: string, name: string): void {
    const { record, state } = this.get(id);
    const holder = this.#byName.get(name);
    if (holder !== undefined) {
      throw new GantryError(
        "conflict",
        `Conflict. The container name "/${name}" is already in use by container "${holder}".`,
      );
    }
    this.#replace({ ...record, name }, state);
    this.#byName.delete(record.name);
    this.#byName.set(name, id);
  }

  /** Replaces what the user asked for (`update` of limits and restart policy). */
  replaceRecord(record: ContainerRecord): void {
    this.#replace(record, this.get(record.id).state);
  }

  #replace(record: ContainerRecord, state: ContainerState): void {
    this.#db.run(
      "UPDATE containers SET name = ?, record = ? WHERE id = ?",
      record.name,
      JSON.stringify(record),
      record.id,
    );
    this.#byId.set(record.id, { record, state });
  }

  delete(id: string): void {
    const stored = this.#byId.get(id);
    if (stored === undefined) return;
    this.#db.run("DELETE FROM containers WHERE id = ?", id);
    this.#byId.delete(id);
    this.#byName.delete(stored.record.name);
  }

  /** By full id. @throws {GantryError} "not-found" */
  get(id: string): StoredContainer {
    const stored = this.#byId.get(id);
    if (stored === undefined) throw notFound(id);
    return stored;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  nameTaken(name: string): boolean {
    return this.#byName.has(name);
  }

  /**
   * By name (with or without leading slash), full id, or unique prefix of one, in this order.
   * @throws {GantryError} "not-found" | "invalid" when a prefix fits several
   */
  find(reference: string): StoredContainer {
    const name = reference.startsWith("/") ? reference.slice(1) : reference;
    const id = this.#byId.has(reference) ? reference : (this.#byName.get(name) ?? this.#byPrefix(reference));
    if (id === undefined) throw notFound(reference);
    return this.get(id);
  }

  /** As `find`; undefined where there is none. @throws {GantryError} "invalid" when a prefix fits several */
  tryFind(reference: string): StoredContainer | undefined {
    try {
      return this.find(reference);
    } catch (error) {
      if (error instanceof GantryError && error.code === "not-found") return undefined;
      throw error;
    }
  }

  #byPrefix(prefix: string): string | undefined {
    if (!/^[0-9a-f]{1,63}$/.test(prefix)) return undefined;
    let found: string | undefined;
    for (const id of this.#byId.keys()) {
      if (!id.startsWith(prefix)) continue;
      if (found !== undefined)
        throw new GantryError("invalid", `multiple IDs found with provided prefix: ${prefix}`);
      found = id;
    }
    return found;
  }

  /** All, newest first. */
  list(): readonly StoredContainer[] {
    return [...this.#byId.values()].sort((a, b) => b.record.createdAtMs - a.record.createdAtMs);
  }
}

/** Records of earlier versions lack what was added since. */
function complete(record: ContainerRecord): ContainerRecord {
  return { ...record, host: { ...defaultHostConfig, ...record.host } };
}

function notFound(reference: string): GantryError {
  return new GantryError("not-found", `No such container: ${reference}`, {
    hint: "list all containers with: gantry ps -a",
  });
}
