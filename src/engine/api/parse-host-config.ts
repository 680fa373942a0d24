/** `HostConfig` of POST /containers/create: everything but resources, mounts and ports. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { HostConfig } from "../container.ts";
import type { Fields } from "./json-fields.ts";
import { parseBlockIo } from "./parse-block-io.ts";
import { parseDevices } from "./parse-devices.ts";
import { terminalSide } from "./parse-exec.ts";
import { parseLogConfig } from "./parse-log-config.ts";
import { parseStorage } from "./parse-mounts.ts";
import { parseModes } from "./parse-modes.ts";
import { parseNetworkMode, parsePortBindings } from "./parse-networking.ts";
import { parseResources, parseRestartPolicy } from "./parse-resources.ts";
import { parseSecurity } from "./parse-security.ts";

/** @throws {GantryError} "invalid", "unsupported" for a field that is set and not honoured */
export function parseHostConfig(fields: Fields): HostConfig {
  const host: HostConfig = {
    ...parseResources(fields),
    ...parseBlockIo(fields),
    ...parseDevices(fields),
    ...parseModes(fields),
    ...parseSecurity(fields),
    ...parseStorage(fields),
    NetworkMode: parseNetworkMode(fields.string("NetworkMode", "default") || "default"),
    PortBindings: parsePortBindings(fields.object("PortBindings")),
    PublishAllPorts: fields.boolean("PublishAllPorts"),
    RestartPolicy: parseRestartPolicy(fields.object("RestartPolicy")),
    AutoRemove: fields.boolean("AutoRemove"),
    LogConfig: parseLogConfig(fields.object("LogConfig")),
    Init: fields.has("Init") ? fields.boolean("Init") : null,
    Runtime: fields.string("Runtime"),
    CgroupParent: fields.string("CgroupParent"),
    ExtraHosts: fields.strings("ExtraHosts").map(checkExtraHost),
    Dns: fields.strings("Dns"),
    DnsSearch: fields.strings("DnsSearch"),
    DnsOptions: fields.strings("DnsOptions"),
    StorageOpt: fields.stringMap("StorageOpt"),
    VolumeDriver: fields.string("VolumeDriver"),
    ConsoleSize: consoleSize(fields.raw("ConsoleSize")),
    ContainerIDFile: fields.string("ContainerIDFile"),
  };
  // Taken from clients of before 1.42 alone (version-gates.ts).
  fields.integer("KernelMemory");
  fields.refuseOthers();
  if (host.AutoRemove && host.RestartPolicy.Name !== "no") {
    throw new GantryError("invalid", "can't create 'AutoRemove' container with restart policy");
  }
  return host;
}

/** Rows and columns; what is no size says nothing. */
function consoleSize(value: unknown): readonly [number, number] {
  const [rows, cols]: unknown[] = Array.isArray(value) ? value : [];
  return [terminalSide(rows), terminalSide(cols)];
}

function checkExtraHost(entry: string): string {
  if (!/^[^:=\s]+[:=].+$/.test(entry))
    throw new GantryError("invalid", `bad format for add-host: "${entry}"`);
  return entry;
}
