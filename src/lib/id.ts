/** Identifiers as Docker prints them. */
import { randomBytes } from "node:crypto";

/** A fresh id: 64 hex digits. Never all decimal in its first 12, which a tool could take for a number. */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString("hex");
    if (!/^[0-9]{12}/.test(id)) return id;
  }
}

/** The 12 digits that `ps` shows. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
