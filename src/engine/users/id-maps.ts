/** `--userns-remap`: which ids of the host are a container's, from /etc/subuid and /etc/subgid. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { OciIdMapping } from "../../runtime/index.ts";
import { type Account, type Group, parseGroup, parsePasswd } from "./account-files.ts";

/** Of a container in a user namespace. */
export interface IdMaps {
  readonly uids: readonly OciIdMapping[];
  readonly gids: readonly OciIdMapping[];
}

/** The texts of the host's files; "" where one is missing. */
export interface HostAccounts {
  readonly passwd: string;
  readonly group: string;
  readonly subuid: string;
  readonly subgid: string;
}

/** dockerd's name for `default`. */
const defaultUser = "dockremap";

/**
 * @param spec "" is none; `default`, `user[:group]` or `uid[:gid]`
 * @returns undefined for none, and for root, who is mapped to itself
 * @throws {GantryError} "invalid" for one who is not there or has no ranges
 */
export function remapOf(spec: string, host: HostAccounts): IdMaps | undefined {
  if (spec === "") return undefined;
  const [userName = "", groupName = "", more] = (spec === "default" ? defaultUser : spec).split(":");
  if (userName === "" || more !== undefined)
    throw new GantryError(
      "invalid",
      `invalid user/group specification in --userns-remap: ${JSON.stringify(spec)}`,
    );
  const user = find<Account>(parsePasswd(host.passwd), userName, ({ uid }) => uid, "user");
  if (user.name === "root") return undefined;
  const group =
    groupName === "" ? undefined : find<Group>(parseGroup(host.group), groupName, ({ gid }) => gid, "group");
  const uids = rangesOf(host.subuid, [user.name, String(user.uid)]);
  // Ranges of groups stand there by the user's name, too.
  const groupNames = [
    ...(group === undefined ? [] : [group.name, String(group.gid)]),
    user.name,
    String(user.uid),
  ];
  const gids = rangesOf(host.subgid, groupNames);
  for (const [kind, maps] of [
    ["subuid", uids],
    ["subgid", gids],
  ] as const)
    if (maps.length === 0)
      throw new GantryError("invalid", `no ${kind} ranges found for user ${JSON.stringify(user.name)}`, {
        hint: `give it one: echo ${user.name}:100000:65536 >>/etc/${kind}`,
      });
  return { uids, gids };
}

function find<T extends { readonly name: string }>(
  entries: readonly T[],
  word: string,
  idOf: (entry: T) => number,
  what: string,
): T {
  const isId = /^\d{1,10}$/.test(word);
  const found = entries.find((entry) => (isId ? idOf(entry) === Number(word) : entry.name === word));
  if (found !== undefined) return found;
  throw new GantryError("invalid", `the ${what} of --userns-remap is not there: ${word.slice(0, 100)}`, {
    hint: `make it: ${what}add --system ${word.slice(0, 100)}`,
  });
}

/** Lines `name:first:count`, one behind the other from the container's id 0 on. */
function rangesOf(text: string, names: readonly string[]): readonly OciIdMapping[] {
  const maps: OciIdMapping[] = [];
  let next = 0;
  for (const line of text.split("\n")) {
    const [, name = "", first, count] = /^([^:#]+):(\d{1,10}):(\d{1,10})\s*$/.exec(line.trim()) ?? [];
    if (!names.includes(name) || Number(count) === 0) continue;
    maps.push({ containerID: next, hostID: Number(first), size: Number(count) });
    next += Number(count);
  }
  return maps;
}

/** The host's ids of the container's root. Pure. */
export function rootOf(maps: IdMaps | undefined): { readonly uid: number; readonly gid: number } {
  return { uid: hostId(maps?.uids ?? [], 0), gid: hostId(maps?.gids ?? [], 0) };
}

/** An id that is not mapped stays as it is. Pure. */
export function hostId(maps: readonly OciIdMapping[], id: number): number {
  const range = maps.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return range === undefined ? id : range.hostID + (id - range.containerID);
}
