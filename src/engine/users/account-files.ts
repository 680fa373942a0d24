/** /etc/passwd and /etc/group (passwd(5), group(5)). Pure; malformed lines are passed over. */

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const number = /^\d{1,10}$/;

export function parsePasswd(text: string): Account[] {
  const accounts: Account[] = [];
  for (const line of text.split("\n")) {
    const [name = "", , uid = "", gid = "", , home = ""] = line.trim().split(":");
    if (name === "" || name.startsWith("#") || !number.test(uid) || !number.test(gid)) continue;
    accounts.push({ name, uid: Number(uid), gid: Number(gid), home });
  }
  return accounts;
}

export function parseGroup(text: string): Group[] {
  const groups: Group[] = [];
  for (const line of text.split("\n")) {
    const [name = "", , gid = "", members = ""] = line.trim().split(":");
    if (name === "" || name.startsWith("#") || !number.test(gid)) continue;
    groups.push({ name, gid: Number(gid), members: members.split(",").filter((member) => member !== "") });
  }
  return groups;
}
