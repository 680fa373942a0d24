/** The newest entries of an audit log, across its renamed files. */
import { existsSync, readFileSync } from "node:fs";
import type { AuditEntry } from "./audit-log.ts";

export interface AuditFilter {
  /** Empty: everybody. */
  readonly who: string;
  /** What `what` begins with. */
  readonly what: string;
  readonly limit: number;
}

/** Oldest first. */
export async function readAudit(
  path: string,
  { who, what, limit }: AuditFilter,
): Promise<readonly AuditEntry[]> {
  const newestFirst: AuditEntry[] = [];
  for (let i = 0; newestFirst.length < limit; i++) {
    const file = i === 0 ? path : `${path}.${i}`;
    if (!existsSync(file)) break;
    for (const line of readFileSync(file, "utf8").split("\n").toReversed()) {
      const entry = entryOf(line);
      if (entry === undefined || (who !== "" && entry.who !== who) || !entry.what.startsWith(what)) continue;
      newestFirst.push(entry);
      if (newestFirst.length >= limit) break;
    }
  }
  return newestFirst.toReversed();
}

/** A line that a crash has cut short is none. */
function entryOf(line: string): AuditEntry | undefined {
  if (!line.startsWith("{") || !line.endsWith("}")) return undefined;
  const value: unknown = JSON.parse(line);
  if (typeof value !== "object" || value === null) return undefined;
  const record: Readonly<Record<string, unknown>> = { ...value };
  const text = (key: string): string => String(record[key] ?? "");
  return {
    time: text("time"),
    who: text("who"),
    kind: text("kind"),
    action: text("action"),
    what: text("what"),
    from: text("from"),
    result: text("result"),
  };
}
