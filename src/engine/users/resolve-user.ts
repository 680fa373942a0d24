/** `--user NAME|UID[:GROUP|GID]` and `--group-add` to numbers, as runc does it (moby/sys/user). Pure. */
import { GantryError } from "../../lib/index.ts";
import type { Account, Group } from "./account-files.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, the own one first: without it a change of gid would shed it (CVE-2022-36109). */
  readonly groups: readonly number[];
  readonly home: string;
}

export interface Accounts {
  readonly accounts: readonly Account[];
  readonly groups: readonly Group[];
}

/** Ids are signed 32-bit in many programs: more than this is refused. */
const maxId = 0x7fff_ffff;

/**
 * @param spec "" is root
 * @param groupAdd further groups, by name or number
 * @throws {GantryError} "invalid" for a name without an entry or an id out of range, in docker's words
 */
export function resolveUser(spec: string, groupAdd: readonly string[], found: Accounts): ResolvedUser {
  const colon = spec.indexOf(":");
  const name = colon < 0 ? spec : spec.slice(0, colon);
  const groupName = colon < 0 ? "" : spec.slice(colon + 1);
  const wantedUid = parseId(name === "" ? "0" : name);
  const account =
    found.accounts.find((entry) => entry.name === name) ??
    found.accounts.find((entry) => entry.uid === wantedUid);
  const uid = account?.uid ?? wantedUid;
  if (uid === undefined)
    throw new GantryError("invalid", `unable to find user ${name}: no matching entries in passwd file`);
  const gid = groupName === "" ? (account?.gid ?? 0) : groupId(groupName, found.groups);
  const own =
    groupName === "" && account !== undefined
      ? found.groups.filter((group) => group.members.includes(account.name)).map((group) => group.gid)
      : [];
  const added = groupAdd.map((group) => groupId(group, found.groups));
  for (const id of [uid, gid, ...added]) checkRange(id);
  return { uid, gid, groups: [...new Set([gid, ...own, ...added])], home: account?.home || "/" };
}

function groupId(name: string, groups: readonly Group[]): number {
  const wanted = parseId(name);
  const group = groups.find((entry) => entry.name === name) ?? groups.find((entry) => entry.gid === wanted);
  const gid = group?.gid ?? wanted;
  if (gid === undefined)
    throw new GantryError("invalid", `unable to find group ${name}: no matching entries in group file`);
  return gid;
}

function parseId(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function checkRange(id: number): void {
  if (id > maxId) throw new GantryError("invalid", `uids and gids must be in range 0-${maxId}: ${id}`);
}
