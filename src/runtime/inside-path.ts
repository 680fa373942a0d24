/** Paths of a config as paths below the container's root. Pure. */

/**
 * Absolute below the root; a relative destination is taken from / (runtime-spec 1.2). As runc and crun do, a destination
 * that names the root's own place on the host is taken as the path below it.
 */
export function insidePath(destination: string, root?: string): string {
  const path = clean(destination);
  const prefix = root === undefined || !root.startsWith("/") ? "/" : clean(root);
  return prefix !== "/" && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
}

function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}
