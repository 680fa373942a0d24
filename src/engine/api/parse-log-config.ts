/** `LogConfig`: the driver and its options. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { HostConfig } from "../container.ts";
import type { Fields } from "./json-fields.ts";

/** @throws {GantryError} "unsupported" driver, "invalid" option */
export function parseLogConfig(fields: Fields): HostConfig["LogConfig"] {
  const Type = fields.string("Type") || "json-file";
  if (!["json-file", "local", "none"].includes(Type)) {
    throw new GantryError("unsupported", `logger: no log driver named '${Type}' is registered`, {
      hint: "json-file, local or none",
    });
  }
  const Config = fields.stringMap("Config");
  for (const key of Object.keys(Config)) {
    if (key !== "max-size" && key !== "max-file")
      throw new GantryError("invalid", `unknown log opt '${key}' for ${Type} log driver`);
  }
  return { Type, Config };
}
