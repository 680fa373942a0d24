/** Makes what a mount needs to stand on in a root file system that nobody uses. */
import { GantryError, isErrno } from "../../lib/index.ts";
import { O_CREAT, O_EXCL } from "./open-flags.ts";

/**
 * Makes the missing directories, and at the end a directory or an empty file.
 * @throws {GantryError} "denied" when a symbolic link stands in the way: it could lead out of the root
 */
export function makeMountPoint(root: string, inside: string, isFile: boolean): void {
  const parts = inside.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new GantryError("invalid", `mounts: ${inside} must not hold ..`);
  let path = root;
  for (const [index, part] of parts.entries()) {
    path += `/${part}`;
    const kind = kindOf(path);
    if (kind === "symlink")
      throw new GantryError("denied", `mounts: ${path} is a symbolic link`, {
        hint: "name the place that it leads to as the mount's destination",
      });
    if (kind !== undefined) continue;
    if (isFile && index === parts.length - 1) host.writeFile(path, "", O_CREAT | O_EXCL, 0o644);
    else host.mkdir(path, 0o755);
  }
}

function kindOf(path: string): string | undefined {
  try {
    return host.lstat(path).kind;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
