/** Devices of a create request. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { DeviceRequest, DriverRequest, HostConfig } from "../container.ts";
import { parseDeviceRule } from "../device-cgroup-rules.ts";
import type { Fields } from "./json-fields.ts";

/** @throws {GantryError} "invalid", worded as dockerd does */
export function parseDevices(
  fields: Fields,
): Pick<HostConfig, "Devices" | "DeviceCgroupRules" | "DeviceRequests"> {
  const rules = fields.strings("DeviceCgroupRules");
  rules.forEach(parseDeviceRule);
  return {
    Devices: fields.list("Devices").map(parseDevice),
    DeviceCgroupRules: rules,
    DeviceRequests: fields.list("DeviceRequests").map(parseDriverRequest),
  };
}

function parseDevice(fields: Fields): DeviceRequest {
  const host = fields.string("PathOnHost");
  return {
    PathOnHost: host,
    PathInContainer: fields.string("PathInContainer") || host,
    CgroupPermissions: fields.string("CgroupPermissions") || "rwm",
  };
}

/** Taken as dockerd takes it: it is the start that finds no driver. */
function parseDriverRequest(fields: Fields): DriverRequest {
  const Capabilities = fields.raw("Capabilities") ?? [];
  if (!isListOfLists(Capabilities))
    throw new GantryError("invalid", "invalid request: Capabilities must be a list of lists of strings");
  return {
    Driver: fields.string("Driver"),
    Count: fields.integer("Count"),
    DeviceIDs: fields.strings("DeviceIDs"),
    Capabilities,
    Options: fields.stringMap("Options"),
  };
}

function isListOfLists(value: unknown): value is readonly (readonly string[])[] {
  return (
    Array.isArray(value) &&
    value.every((list) => Array.isArray(list) && list.every((word) => typeof word === "string"))
  );
}
