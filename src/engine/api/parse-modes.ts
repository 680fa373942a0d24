/** Which namespaces a container shares, as create requests say it. Pure. */
import { GantryError } from "../../lib/index.ts";
import { joinedReference } from "../containers/joined-container.ts";
import type { HostConfig } from "../container.ts";
import type { Fields } from "./json-fields.ts";

/** @throws {GantryError} "invalid", worded as dockerd does */
export function parseModes(
  fields: Fields,
): Pick<HostConfig, "IpcMode" | "PidMode" | "UTSMode" | "UsernsMode" | "CgroupnsMode" | "Isolation"> {
  const isolation = fields.string("Isolation");
  if (!["", "default"].includes(isolation.toLowerCase()))
    throw new GantryError("invalid", `invalid isolation (${isolation}): linux only supports 'default'`);
  // Deprecated since 2016: cgroups are never shared.
  fields.string("Cgroup");
  return {
    IpcMode:
      mode(fields.string("IpcMode"), "IPC", ["none", "private", "shareable", "host"], true) || "private",
    PidMode: mode(fields.string("PidMode"), "PID", ["host"], true),
    UTSMode: mode(fields.string("UTSMode"), "UTS", ["host"], false),
    UsernsMode: mode(fields.string("UsernsMode"), "userns", ["host"], false),
    CgroupnsMode:
      mode(fields.string("CgroupnsMode"), "cgroup namespace", ["host", "private"], false) || "private",
    Isolation: isolation,
  };
}

function mode(text: string, name: string, allowed: readonly string[], canJoin: boolean): string {
  const joined = canJoin ? joinedReference(text) : undefined;
  if (text === "" || allowed.includes(text) || (joined !== undefined && joined !== "")) return text;
  throw new GantryError("invalid", `invalid ${name} mode: ${text}`, {
    hint: `one of: ${[...allowed, ...(canJoin ? ["container:NAME"] : [])].join(" ")}`,
  });
}
