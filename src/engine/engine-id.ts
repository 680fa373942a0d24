/** The name of an engine's root directory, for ever the same. */
import { type Database, newId } from "../lib/index.ts";

const migrations = ["CREATE TABLE engine_identity (id TEXT NOT NULL) STRICT"];

/** Made at the first start and kept in the database. */
export function engineId(db: Database): string {
  db.migrate("engine-identity", migrations);
  return db.transaction(() => {
    const row = db.get("SELECT id FROM engine_identity");
    if (row !== undefined) return String(row["id"]);
    const id = newId();
    db.run("INSERT INTO engine_identity VALUES (?)", id);
    return id;
  });
}
