/** Names inside an archive made safe to use below a root. */
import { GantryError } from "../lib/index.ts";

const hint = "the archive is hostile or was made by a broken tool; make it with: tar -C DIRECTORY -c .";

/**
 * The components of a path in an archive.
 * @throws {GantryError} "corrupt" when the path is absolute or climbs with `..`
 */
export function archivePath(path: string): readonly string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  // "/" alone is how some tools write the root.
  if (parts.includes("..") || (path.startsWith("/") && parts.length > 0)) throw leadsOutside(path, "");
  return parts;
}

function leadsOutside(path: string, how: string): GantryError {
  return new GantryError(
    "corrupt",
    `entry ${JSON.stringify(path)} of the archive leads outside of it${how}`,
    {
      hint,
      fields: { path },
    },
  );
}

/**
 * Where a link in an archive leads, as components below the archive's root.
 * @param parts of the link itself
 * @throws {GantryError} "corrupt" when it leads outside; `entry` is the one that would be made through it
 */
export function linkedPath(parts: readonly string[], target: string, entry: string): readonly string[] {
  const through = ` through the link ${JSON.stringify(parts.join("/"))} to ${JSON.stringify(target)}`;
  if (target.startsWith("/")) throw leadsOutside(entry, through);
  const at = parts.slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") {
      if (at.pop() === undefined) throw leadsOutside(entry, through);
    } else if (part !== "" && part !== ".") at.push(part);
  }
  return at;
}

const whiteoutPrefix = ".wh.";

/** What a name means in a layer (image-spec layer.md, "Whiteouts"). */
export type LayerName =
  | { readonly kind: "plain" }
  | { readonly kind: "opaque" }
  | { readonly kind: "ignored" }
  | { readonly kind: "whiteout"; readonly hides: string };

/** @throws {GantryError} "corrupt" for a whiteout of nothing, `.` or `..` */
export function layerName(name: string): LayerName {
  if (!name.startsWith(whiteoutPrefix)) return { kind: "plain" };
  if (name === ".wh..wh..opq") return { kind: "opaque" };
  // Other double prefixes are bookkeeping of aufs.
  if (name.startsWith(".wh..wh.")) return { kind: "ignored" };
  const hides = name.slice(whiteoutPrefix.length);
  if (hides === "" || hides === "." || hides === "..") {
    throw new GantryError("corrupt", `invalid whiteout ${JSON.stringify(name)} in the archive`);
  }
  return { kind: "whiteout", hides };
}

export function whiteoutName(name: string): string {
  return whiteoutPrefix + name;
}
