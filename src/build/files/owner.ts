/** `--chown`: names looked up in the /etc/passwd and /etc/group of the image that is written to. */
import { GantryError } from "../../lib/index.ts";
import type { TreeView } from "./tree-view.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** In bytes: larger account files are refused. */
const maxAccountFile = 4 << 20;
const maxId = 0xffff_fffe;

interface Account {
  readonly name: string;
  readonly id: number;
  /** Of a user: the primary group. */
  readonly group: number;
}

/** Lines of passwd(5) or group(5); others are skipped, as the C library does. */
export function parseAccounts(text: string): readonly Account[] {
  return text.split("\n").flatMap((line) => {
    const [name, , id, group] = line.split(":");
    return name === undefined || name === "" || id === undefined || !/^\d{1,10}$/.test(id)
      ? []
      : [{ name, id: Number(id), group: /^\d{1,10}$/.test(group ?? "") ? Number(group) : Number(id) }];
  });
}

function numeric(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  if (Number(text) <= maxId) return Number(text);
  throw new GantryError("invalid", `id ${text} of --chown is too large`);
}

/**
 * The owner that `user[:group]` names. A user alone also names the group: the same number, or the group of that name, or
 * else the user's primary group.
 * @throws {GantryError} "invalid" for a malformed word and for a name that the image does not know
 */
export async function resolveOwner(chown: string, view: TreeView): Promise<Owner> {
  const parts = chown.split(":");
  const [user = "", group = user] = parts;
  if (parts.length > 2 || user === "" || group === "")
    throw new GantryError("invalid", `invalid chown string format: ${chown.slice(0, 100)}`, {
      hint: "write user, user:group or numbers",
    });
  const account = numeric(user) === undefined ? await userNamed(user, view) : undefined;
  const uid = numeric(user) ?? account?.id ?? 0;
  if (numeric(group) !== undefined) return { uid, gid: numeric(group) ?? 0 };
  const groups = parseAccounts((await view.text("/etc/group", maxAccountFile)) ?? "");
  const found =
    groups.find((one) => one.name === group)?.id ?? (parts.length === 1 ? account?.group : undefined);
  if (found !== undefined) return { uid, gid: found };
  throw new GantryError("invalid", `can't find gid for group ${group}: no such group: ${group}`, {
    hint: "the image's /etc/group does not have it; use a number",
  });
}

async function userNamed(name: string, view: TreeView): Promise<Account> {
  const account = parseAccounts((await view.text("/etc/passwd", maxAccountFile)) ?? "").find(
    (one) => one.name === name,
  );
  if (account !== undefined) return account;
  throw new GantryError("invalid", `can't find uid for user ${name}: no such user: ${name}`, {
    hint: "the image's /etc/passwd does not have it; use a number, or make the user in a RUN before",
  });
}
