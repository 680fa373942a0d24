/** The account files of this machine, for `--userns-remap`. */
import { readFileSync } from "node:fs";
import { isErrno, toGantryError } from "../../lib/index.ts";
import type { HostAccounts } from "./id-maps.ts";

export function hostAccounts(): HostAccounts {
  return {
    passwd: read("/etc/passwd"),
    group: read("/etc/group"),
    subuid: read("/etc/subuid"),
    subgid: read("/etc/subgid"),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw toGantryError(error, `read ${path}`);
  }
}
