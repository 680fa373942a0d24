/** What a create request asks to be mounted. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { HostConfig, MountRequest } from "../container.ts";
import type { Fields } from "./json-fields.ts";

/** @throws {GantryError} "unsupported" for an unknown type of mount */
export function parseStorage(fields: Fields): Pick<HostConfig, "Binds" | "VolumesFrom" | "Mounts" | "Tmpfs"> {
  return {
    Binds: fields.strings("Binds"),
    VolumesFrom: fields.strings("VolumesFrom"),
    Mounts: fields.list("Mounts").map(parseMountRequest),
    Tmpfs: fields.stringMap("Tmpfs"),
  };
}

function parseMountRequest(fields: Fields): MountRequest {
  const type = fields.string("Type");
  if (type !== "bind" && type !== "volume" && type !== "tmpfs") {
    throw new GantryError("unsupported", `mount type ${JSON.stringify(type)} is not supported`, {
      hint: "bind, volume or tmpfs",
    });
  }
  const bind = fields.object("BindOptions");
  const volume = fields.object("VolumeOptions");
  const tmpfs = fields.object("TmpfsOptions");
  return {
    Type: type,
    Source: fields.string("Source"),
    Target: fields.string("Target"),
    ReadOnly: fields.boolean("ReadOnly"),
    BindOptions: {
      Propagation: bind.string("Propagation"),
      CreateMountpoint: bind.boolean("CreateMountpoint"),
    },
    VolumeOptions: { NoCopy: volume.boolean("NoCopy") },
    TmpfsOptions: { SizeBytes: tmpfs.integer("SizeBytes"), Mode: tmpfs.integer("Mode") },
  };
}
