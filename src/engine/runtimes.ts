/** The OCI runtimes that a container may be made by (`--runtime`): our own, and programs with runc's command line. */
import { accessSync, constants } from "node:fs";
import { GantryError } from "../lib/index.ts";

/** The names that mean our own; the last is what docker's clients read from dockerd and send back. */
const ownNames: readonly string[] = ["", "gantry", "io.containerd.runc.v2"];
/** Offered where they are in PATH. */
const wellKnown: readonly string[] = ["runc", "crun", "youki"];
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export class Runtimes {
  #added: Readonly<Record<string, string>>;

  /** @param added of --add-runtime: name to absolute path */
  constructor(added: Readonly<Record<string, string>>) {
    this.#added = added;
  }

  /** Others from now on; containers that are there keep the name that they were made with. */
  replace(added: Readonly<Record<string, string>>): void {
    this.#added = added;
  }

  /** True for the names of our own. */
  isOwn(name: string): boolean {
    return this.#added[name] === undefined && ownNames.includes(name);
  }

  /**
   * The program of a runtime, undefined for our own.
   * @throws {GantryError} "invalid" for a name that is not known, "unavailable" when its program is gone
   */
  programOf(name: string): string | undefined {
    const added = this.#added[name];
    if (added !== undefined) return executable(name, added);
    if (ownNames.includes(name)) return undefined;
    const found = wellKnown.includes(name) ? lookUp(name) : undefined;
    if (found !== undefined) return found;
    throw new GantryError("invalid", `unknown or invalid runtime name: ${name}`, {
      hint: `known here: ${Object.keys(this.list()).join(", ")}; name others with: gantry engine --add-runtime NAME=PATH`,
    });
  }

  /** As `docker info` shows them. */
  list(): Readonly<Record<string, { readonly path: string }>> {
    const all: Record<string, { path: string }> = { gantry: { path: "gantry-init" } };
    for (const name of wellKnown) {
      const path = lookUp(name);
      if (path !== undefined) all[name] = { path };
    }
    for (const [name, path] of Object.entries(this.#added)) all[name] = { path };
    return all;
  }
}

/** `NAME=PATH` of --add-runtime. @throws {GantryError} "invalid" */
export function parseAddRuntime(word: string): readonly [name: string, path: string] {
  const at = word.indexOf("=");
  const [name, path] = [word.slice(0, at), word.slice(at + 1)];
  if (at < 1 || !/^[\w.-]+$/.test(name) || !path.startsWith("/"))
    throw new GantryError("invalid", `invalid argument ${JSON.stringify(word)} for "--add-runtime" flag`, {
      hint: "give NAME=PATH with an absolute path, such as --add-runtime crun=/usr/bin/crun",
    });
  if (ownNames.includes(name))
    throw new GantryError("invalid", `--add-runtime: the name ${name} is the engine's own runtime`);
  return [name, path];
}

function lookUp(name: string): string | undefined {
  return Bun.which(name, { PATH: searchPath }) ?? undefined;
}

function executable(name: string, path: string): string {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch (error) {
    throw new GantryError("unavailable", `the runtime ${name} cannot be run: ${path}`, {
      cause: error,
      hint: "correct the path of gantry engine --add-runtime, or install it",
    });
  }
}
