/** POST /containers/create: the body as Docker clients send it, checked and completed with defaults. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { ContainerConfig, HostConfig, NetworkRequest } from "../container.ts";
import type { Unset } from "../engine-defaults.ts";
import { Fields } from "./json-fields.ts";
import { parseHealth } from "./parse-health.ts";
import { parseHostConfig } from "./parse-host-config.ts";
import { parseNetworking, parsePorts } from "./parse-networking.ts";
import { type ApiVersion, gateHostConfig, isBefore, latest } from "./version-gates.ts";

export interface CreateRequest {
  /** Empty: the engine picks one. */
  readonly name: string;
  readonly config: ContainerConfig;
  /** True where the request itself names a command or entrypoint (null and [] differ for the image's defaults). */
  readonly entrypointSet: boolean;
  readonly host: HostConfig;
  /** What of `host` stands there because nothing was said: the engine's own defaults go before it. */
  readonly unset?: readonly Unset[];
  readonly network: NetworkRequest;
  /** What was passed over. */
  readonly warnings: readonly string[];
}

/**
 * @throws {GantryError} "invalid" with the field's name; "unsupported" for a field that is set and not honoured
 */
export function parseCreate(name: string, body: unknown, version: ApiVersion = latest): CreateRequest {
  const fields = new Fields(body, "");
  if (name !== "" && !/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new GantryError(
      "invalid",
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  const { host, unset, warnings } = readHostConfig(fields, version);
  const entrypoint = fields.strings("Entrypoint");
  const config: ContainerConfig = {
    ...parseIdentity(fields),
    AttachStdin: fields.boolean("AttachStdin"),
    AttachStdout: fields.boolean("AttachStdout"),
    AttachStderr: fields.boolean("AttachStderr"),
    Tty: fields.boolean("Tty"),
    OpenStdin: fields.boolean("OpenStdin"),
    StdinOnce: fields.boolean("StdinOnce"),
    ExposedPorts: parsePorts(fields.set("ExposedPorts")),
    Env: fields.strings("Env").map(checkEnv),
    Cmd: fields.strings("Cmd"),
    Entrypoint: entrypoint,
    Volumes: fields.set("Volumes"),
    WorkingDir: checkWorkingDir(fields.string("WorkingDir")),
    StopSignal: fields.string("StopSignal"),
    NetworkDisabled: fields.boolean("NetworkDisabled"),
    Shell: fields.strings("Shell"),
    ...(fields.has("Healthcheck") ? { Healthcheck: parseHealth(fields.object("Healthcheck")) } : {}),
    ...(fields.has("StopTimeout") ? { StopTimeout: fields.integer("StopTimeout") } : {}),
  };
  const network = parseNetworking(fields, host.NetworkMode);
  fields.string("MacAddress");
  // Of images, and of Windows: a container makes nothing of them.
  fields.strings("OnBuild");
  fields.boolean("ArgsEscaped");
  return {
    name: name.replace(/^\//, ""),
    config,
    entrypointSet: fields.has("Entrypoint") && entrypoint.length > 0,
    host,
    ...(unset === undefined ? {} : { unset }),
    network,
    warnings,
  };
}

function readHostConfig(
  fields: Fields,
  version: ApiVersion,
): Pick<CreateRequest, "host" | "unset" | "warnings"> {
  const hostFields = fields.object("HostConfig");
  const config = parseHostConfig(hostFields);
  // docker-py names it beside HostConfig.
  const parsed = { ...config, Runtime: config.Runtime || fields.string("Runtime") };
  const given = {
    ipcMode: hostFields.string("IpcMode") !== "",
    cgroupnsMode: hostFields.string("CgroupnsMode") !== "",
    kernelMemory: hostFields.integer("KernelMemory"),
  };
  const gated = { ...gateHostConfig(parsed, given, version), unset: unsetIn(hostFields, version) };
  if (!fields.boolean("NetworkDisabled")) return gated;
  return { ...gated, host: { ...gated.host, NetworkMode: "none" } };
}

/** Old clients mean their own version's default where they say nothing. */
function unsetIn(fields: Fields, version: ApiVersion): readonly Unset[] {
  const unset: Unset[] = [];
  if (fields.integer("ShmSize") === 0) unset.push("ShmSize");
  if (fields.string("IpcMode") === "" && !isBefore(version, [1, 40])) unset.push("IpcMode");
  if (fields.string("CgroupnsMode") === "" && !isBefore(version, [1, 41])) unset.push("CgroupnsMode");
  if (fields.object("LogConfig").string("Type") === "") unset.push("LogDriver");
  return unset;
}

function parseIdentity(
  fields: Fields,
): Pick<ContainerConfig, "Hostname" | "Domainname" | "User" | "Image" | "Labels"> {
  const hostname = fields.string("Hostname");
  if (hostname.length > 64 || /[^a-zA-Z0-9._-]/.test(hostname)) {
    throw new GantryError("invalid", `invalid hostname: ${JSON.stringify(hostname)}`);
  }
  const image = fields.string("Image");
  if (image === "") throw new GantryError("invalid", "no image is given: Image is empty");
  return {
    Hostname: hostname,
    Domainname: fields.string("Domainname"),
    User: fields.string("User"),
    Image: image,
    Labels: fields.stringMap("Labels"),
  };
}

function checkEnv(entry: string): string {
  if (entry.startsWith("=") || entry === "" || entry.includes("\0"))
    throw new GantryError("invalid", `invalid environment variable: ${entry.slice(0, 200)}`);
  return entry;
}

function checkWorkingDir(path: string): string {
  if (path !== "" && !path.startsWith("/")) {
    throw new GantryError(
      "invalid",
      `the working directory '${path}' is invalid, it needs to be an absolute path`,
    );
  }
  return path;
}
