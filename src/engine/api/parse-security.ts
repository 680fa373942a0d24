/** Rights of a container, as create requests carry them. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { HostConfig } from "../container.ts";
import { securityOptions } from "../oci-security.ts";
import type { Fields } from "./json-fields.ts";

/** @throws {GantryError} "invalid", worded as dockerd does */
export function parseSecurity(
  fields: Fields,
): Pick<
  HostConfig,
  | "Privileged"
  | "CapAdd"
  | "CapDrop"
  | "SecurityOpt"
  | "GroupAdd"
  | "Sysctls"
  | "ReadonlyRootfs"
  | "MaskedPaths"
  | "ReadonlyPaths"
  | "Annotations"
> {
  const options = fields.strings("SecurityOpt");
  securityOptions(options);
  return {
    Privileged: fields.boolean("Privileged"),
    CapAdd: fields.strings("CapAdd"),
    CapDrop: fields.strings("CapDrop"),
    SecurityOpt: options,
    GroupAdd: fields.strings("GroupAdd"),
    Sysctls: fields.stringMap("Sysctls"),
    ReadonlyRootfs: fields.boolean("ReadonlyRootfs"),
    MaskedPaths: paths(fields, "MaskedPaths"),
    ReadonlyPaths: paths(fields, "ReadonlyPaths"),
    Annotations: annotations(fields),
  };
}

/** null is the default; an empty list is none at all. */
function paths(fields: Fields, key: string): readonly string[] | null {
  if (!fields.has(key)) return null;
  const list = fields.strings(key);
  for (const path of list)
    if (!path.startsWith("/") || path.includes("\0"))
      throw new GantryError("invalid", `invalid ${key}: ${JSON.stringify(path)} is not an absolute path`);
  return list;
}

function annotations(fields: Fields): Readonly<Record<string, string>> {
  const map = fields.stringMap("Annotations");
  if (Object.hasOwn(map, ""))
    throw new GantryError(
      "invalid",
      "invalid Annotations: the empty string is not permitted as an annotation key",
    );
  return map;
}
