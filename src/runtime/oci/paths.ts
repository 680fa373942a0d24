/** Paths as node:path has them, which is not here. Pure, but for the working directory. */

/** An absolute path without `.`, `..` and double slashes; relative ones are below `base` or the working directory. */
export function resolvePath(path: string, base?: string): string {
  const whole = path.startsWith("/") ? path : `${base ?? host.cwd()}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** What stands before the last slash; "/" for the root's entries, "." without a slash. */
export function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : path.slice(0, at) || "/";
}

/** mkdir -p. */
export function makeDirs(path: string, mode: number): void {
  let made = "";
  for (const part of path.split("/")) {
    made += part === "" ? "" : `/${part}`;
    if (made === "" || host.access(made, 0)) continue;
    try {
      host.mkdir(made, mode);
    } catch (error) {
      // EEXIST: made by another command at the same time.
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
  }
}
