/** Who a container runs as: the account files of its image are read once, those it changed itself each time. */
import { lstatSync } from "node:fs";
import type { Sys } from "../../kernel/index.ts";
import { isErrno } from "../../lib/index.ts";
import { parseGroup, parsePasswd } from "./account-files.ts";
import { LayerFiles } from "./layer-files.ts";
import { type Accounts, type ResolvedUser, resolveUser } from "./resolve-user.ts";

/** More than this of an account file is not read. */
const maxFileBytes = 1024 * 1024;
/** Images whose accounts are remembered. */
const maxCached = 128;

export interface UserRequest {
  /** Names the lower layers, for the cache. */
  readonly imageId: string;
  readonly lowers: readonly string[];
  readonly upper: string;
  readonly spec: string;
  readonly groupAdd: readonly string[];
}

export class UserLookup {
  readonly #sys: Pick<Sys, "getXattr">;
  readonly #cache = new Map<string, Accounts>();

  constructor(sys: Pick<Sys, "getXattr">) {
    this.#sys = sys;
  }

  /** @throws {GantryError} "invalid" for a name without an entry */
  resolve(request: UserRequest): ResolvedUser {
    return resolveUser(request.spec, request.groupAdd, this.#accounts(request));
  }

  #accounts({ imageId, lowers, upper }: UserRequest): Accounts {
    if (exists(`${upper}/etc`)) return this.#read([upper, ...lowers]);
    const known = this.#cache.get(imageId);
    if (known !== undefined) return known;
    const accounts = this.#read(lowers);
    if (this.#cache.size >= maxCached) this.#cache.clear();
    this.#cache.set(imageId, accounts);
    return accounts;
  }

  #read(layers: readonly string[]): Accounts {
    const files = new LayerFiles(this.#sys, layers);
    const text = (path: string): string => Buffer.from(files.read(path, maxFileBytes) ?? []).toString("utf8");
    return { accounts: parsePasswd(text("/etc/passwd")), groups: parseGroup(text("/etc/group")) };
  }
}

/** The container's own /etc, a whiteout or link included. */
function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}
