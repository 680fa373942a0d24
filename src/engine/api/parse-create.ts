/** POST /containers/create: the body as Docker clients send it, checked and completed with defaults. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { ContainerConfig, HostConfig, MountRequest, NetworkRequest, PortBinding } from "../container.ts";
import { Fields } from "./json-fields.ts";
import { parseResources, parseRestartPolicy } from "./parse-resources.ts";

export interface CreateRequest {
  /** Empty: the engine picks one. */
  readonly name: string;
  readonly config: ContainerConfig;
  /** True where the request itself names a command or entrypoint (null and [] differ for the image's defaults). */
  readonly entrypointSet: boolean;
  readonly host: HostConfig;
  readonly network: NetworkRequest;
}

/**
 * @throws {GantryError} "invalid" with the field's name; "unsupported" for a field that is set and not honoured
 */
export function parseCreate(name: string, body: unknown): CreateRequest {
  const fields = new Fields(body, "");
  if (name !== "" && !/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new GantryError(
      "invalid",
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  const host = parseHostConfig(fields.object("HostConfig"));
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
    ...(fields.has("StopTimeout") ? { StopTimeout: fields.integer("StopTimeout") } : {}),
  };
  const network = parseNetworking(fields, host.NetworkMode);
  checkHealthcheck(fields.object("Healthcheck"));
  fields.string("MacAddress");
  fields.refuseOthers();
  return {
    name: name.replace(/^\//, ""),
    config,
    entrypointSet: fields.has("Entrypoint") && entrypoint.length > 0,
    host,
    network,
  };
}

/** `--no-healthcheck` is what we do anyway; a check of its own is refused. */
function checkHealthcheck(fields: Fields): void {
  const [kind = "NONE"] = fields.strings("Test");
  if (kind !== "NONE")
    throw new GantryError("unsupported", "health checks are not supported", {
      hint: "leave --health-cmd away",
    });
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
  if (entry.startsWith("=") || entry === "" || entry.includes("\0")) {
    throw new GantryError("invalid", `invalid environment variable: ${JSON.stringify(entry)}`);
  }
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

/** "80" means "80/tcp". */
function parsePorts(ports: Readonly<Record<string, object>>): Readonly<Record<string, object>> {
  return Object.fromEntries(Object.keys(ports).map((port) => [normalPort(port), {}]));
}

function normalPort(port: string): string {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(port);
  const number = Number(match?.[1]);
  if (match === null || number < 1 || number > 65535) {
    throw new GantryError("invalid", `invalid port specification: ${JSON.stringify(port)}`);
  }
  return `${number}/${match[2] ?? "tcp"}`;
}

function parseNetworkMode(mode: string): string {
  if (mode.startsWith("container:"))
    throw new GantryError("unsupported", `the network of another container (${mode}) is not supported`, {
      hint: "put both on one network, where they find each other by name",
    });
  return mode;
}

function parseHostConfig(fields: Fields): HostConfig {
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

function parseStorage(fields: Fields): Pick<HostConfig, "Binds" | "Mounts" | "Tmpfs"> {
  return {
    Binds: fields.strings("Binds"),
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

function parsePortBindings(fields: Fields): Readonly<Record<string, readonly PortBinding[]>> {
  const bindings: Record<string, readonly PortBinding[]> = {};
  for (const key of fields.keys()) {
    bindings[normalPort(key)] = fields.list(key).map((binding) => {
      const HostPort = binding.string("HostPort");
      if (HostPort !== "" && !(/^\d{1,5}$/.test(HostPort) && Number(HostPort) <= 65535)) {
        throw new GantryError("invalid", `invalid port specification: ${JSON.stringify(HostPort)}`);
      }
      return { HostIp: binding.string("HostIp"), HostPort };
    });
  }
  return bindings;
}

function parseLogConfig(fields: Fields): HostConfig["LogConfig"] {
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

function checkExtraHost(entry: string): string {
  if (!/^[^:=\s]+[:=].+$/.test(entry))
    throw new GantryError("invalid", `bad format for add-host: "${entry}"`);
  return entry;
}

function parseNetworking(fields: Fields, mode: string): NetworkRequest {
  const endpoints = fields.object("NetworkingConfig").object("EndpointsConfig");
  const names = endpoints.keys();
  if (names.length > 1) {
    throw new GantryError(
      "unsupported",
      `a container in several networks at once is not supported: ${names.join(", ")}`,
    );
  }
  // Clients name the endpoint as NetworkMode does; `default` means `bridge`.
  const endpoint = endpoints.object(names[0] ?? mode);
  return {
    aliases: endpoint.strings("Aliases"),
    ip: endpoint.object("IPAMConfig").string("IPv4Address"),
    mac: endpoint.string("MacAddress") || fields.string("MacAddress"),
  };
}
