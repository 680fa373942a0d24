/** `HostConfig` of POST /containers/create: everything but resources, mounts and ports. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { HostConfig } from "../container.ts";
import type { Fields } from "./json-fields.ts";
import { parseLogConfig } from "./parse-log-config.ts";
import { parseStorage } from "./parse-mounts.ts";
import { parseNetworkMode, parsePortBindings } from "./parse-networking.ts";
import { parseResources, parseRestartPolicy } from "./parse-resources.ts";

/** @throws {GantryError} "invalid", "unsupported" for a field that is set and not honoured */
export function parseHostConfig(fields: Fields): HostConfig {
  const host: HostConfig = {
    ...parseResources(fields),
    ...parseSecurity(fields),
    ...parseStorage(fields),
    NetworkMode: parseNetworkMode(fields.string("NetworkMode", "default") || "default"),
    PortBindings: parsePortBindings(fields.object("PortBindings")),
    PublishAllPorts: fields.boolean("PublishAllPorts"),
    RestartPolicy: parseRestartPolicy(fields.object("RestartPolicy")),
    AutoRemove: fields.boolean("AutoRemove"),
    LogConfig: parseLogConfig(fields.object("LogConfig")),
    Init: fields.boolean("Init"),
    Runtime: fields.string("Runtime"),
    CgroupParent: fields.string("CgroupParent"),
    ExtraHosts: fields.strings("ExtraHosts").map(checkExtraHost),
    Dns: fields.strings("Dns"),
    DnsSearch: fields.strings("DnsSearch"),
    DnsOptions: fields.strings("DnsOptions"),
  };
  ignorable(fields);
  fields.refuseOthers();
  if (host.AutoRemove && host.RestartPolicy.Name !== "no") {
    throw new GantryError("invalid", "can't create 'AutoRemove' container with restart policy");
  }
  return host;
}

/** Fields without meaning for us, which clients send with values that change nothing. */
function ignorable(fields: Fields): void {
  for (const key of ["ConsoleSize", "ContainerIDFile"]) fields.raw(key);
  oneOf(fields.string("CgroupnsMode"), "CgroupnsMode", ["", "private"]);
  oneOf(fields.string("VolumeDriver"), "VolumeDriver", ["", "local"]);
  const userns = fields.string("UsernsMode");
  if (userns !== "" && userns !== "host")
    throw new GantryError("unsupported", `UsernsMode ${userns} is not supported`);
}

function parseSecurity(
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
  | "IpcMode"
  | "PidMode"
  | "UTSMode"
> {
  for (const option of fields.strings("SecurityOpt")) {
    const known =
      /^(no-new-privileges([:=](true|false))?|seccomp[:=].*|label[:=]disable|apparmor[:=]unconfined|systempaths[:=]unconfined)$/s;
    if (!known.test(option)) throw new GantryError("unsupported", `SecurityOpt ${option} is not supported`);
  }
  return {
    Privileged: fields.boolean("Privileged"),
    CapAdd: fields.strings("CapAdd"),
    CapDrop: fields.strings("CapDrop"),
    SecurityOpt: fields.strings("SecurityOpt"),
    GroupAdd: fields.strings("GroupAdd"),
    Sysctls: fields.stringMap("Sysctls"),
    ReadonlyRootfs: fields.boolean("ReadonlyRootfs"),
    IpcMode:
      oneOf(fields.string("IpcMode"), "IpcMode", ["", "private", "shareable", "host", "none"]) || "private",
    PidMode: oneOf(fields.string("PidMode"), "PidMode", ["", "host"]),
    UTSMode: oneOf(fields.string("UTSMode"), "UTSMode", ["", "host"]),
  };
}

function oneOf(value: string, name: string, allowed: readonly string[]): string {
  if (!allowed.includes(value))
    throw new GantryError("invalid", `invalid ${name}: ${value}`, {
      hint: `one of: ${allowed.filter((word) => word !== "").join(" ")}`,
    });
  return value;
}

function checkExtraHost(entry: string): string {
  if (!/^[^:=\s]+[:=].+$/.test(entry))
    throw new GantryError("invalid", `bad format for add-host: "${entry}"`);
  return entry;
}
