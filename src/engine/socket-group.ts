/** The group that may use the engine's sockets. */
import { readFileSync } from "node:fs";
import { GantryError, isErrno } from "../lib/index.ts";

/**
 * @param name of --group, or a number; undefined: docker if there is such a group, else root alone
 * @throws {GantryError} "not-found"
 */
export function socketGroup(name: string | undefined, file = "/etc/group"): number {
  if (process.getuid?.() !== 0) return process.getgid?.() ?? 0;
  const groups = readGroups(file);
  if (name === undefined) return groups.get("docker") ?? 0;
  const id = groups.get(name) ?? (/^\d{1,9}$/.test(name) ? Number(name) : undefined);
  if (id !== undefined) return id;
  throw new GantryError("not-found", `group ${name} not found`, {
    hint: `make it with: groupadd --system ${name}`,
  });
}

function readGroups(file: string): ReadonlyMap<string, number> {
  try {
    const lines = readFileSync(file, "utf8").matchAll(/^([^:\n]+):[^:\n]*:(\d+):/gm);
    return new Map([...lines].map(([, name = "", id]) => [name, Number(id)]));
  } catch (error) {
    // ENOENT: a system without groups.
    if (isErrno(error, "ENOENT")) return new Map();
    throw error;
  }
}
