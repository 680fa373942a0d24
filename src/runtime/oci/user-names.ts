/** Names of users for those who read lists. */
import { tryReadText } from "./host-cgroups.ts";

/** Reads /etc/passwd once, when the first name is asked for. */
export class UserNames {
  #names: ReadonlyMap<number, string> | undefined;

  /** The name of a user id; `#` and the number for one that has none, as runc writes it. */
  of(uid: number): string {
    this.#names ??= parsePasswd(tryReadText("/etc/passwd") ?? "");
    return this.#names.get(uid) ?? `#${uid}`;
  }
}

/** User id to the first name that has it; passwd(5). Pure. */
export function parsePasswd(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [name = "", , uid = ""] = line.split(":");
    if (name !== "" && /^[0-9]+$/.test(uid) && !names.has(Number(uid))) names.set(Number(uid), name);
  }
  return names;
}
