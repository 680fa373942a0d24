/** Containers as GET /containers/json and /containers/{id}/json show them (Docker Engine API 1.50). Pure. */
import type { ContainerRecord, ContainerState } from "../container.ts";
import { formatDuration } from "./format-duration.ts";

/** Where a container is reachable; empty texts while it is stopped. */
export interface EndpointView {
  readonly networkName: string;
  readonly networkId: string;
  readonly ip: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly mac: string;
  readonly aliases: readonly string[];
  readonly ports: readonly PublishedPort[];
}

export interface PublishedPort {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp";
}

export interface MountView {
  readonly type: "bind" | "volume" | "tmpfs";
  readonly name: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly mode: string;
  readonly propagation: string;
}

/** All that is known of one container at one moment. */
export interface ContainerView {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
  readonly endpoint: EndpointView | undefined;
  readonly mounts: readonly MountView[];
  readonly execIds: readonly string[];
  readonly paths: {
    readonly log: string;
    readonly hosts: string;
    readonly resolvConf: string;
    readonly hostname: string;
  };
  /** The image as it was named, or its id when that name means another one now, or none. */
  readonly image: () => string;
  /** Names of the image's layer directories, top first. */
  readonly layers: readonly string[];
  /** The same, ready to be lower layers of an overlay. */
  readonly lowers: () => readonly string[];
  readonly upper: string;
}

const zeroTime = "0001-01-01T00:00:00Z";
const isoTime = (ms: number): string => (ms === 0 ? zeroTime : new Date(ms).toISOString());

/** One row of `docker ps`. */
export function wireSummary(view: ContainerView, nowMs: number): object {
  const { record, state } = view;
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: view.image(),
    ImageID: record.imageId,
    Command: shellJoin(commandOf(record)),
    Created: Math.floor(record.createdAtMs / 1000),
    Ports: wirePortList(record, view.endpoint),
    Labels: record.config.Labels,
    State: state.status,
    Status: statusText(state, nowMs),
    HostConfig: { NetworkMode: record.host.NetworkMode === "default" ? "bridge" : record.host.NetworkMode },
    NetworkSettings: { Networks: wireNetworks(view) },
    Mounts: view.mounts.map(wireMount),
  };
}

/** `Up 5 minutes`, `Exited (0) 3 seconds ago`, … */
export function statusText(state: ContainerState, nowMs: number): string {
  const since = (ms: number): string => formatDuration(nowMs - ms);
  switch (state.status) {
    case "running":
      return `Up ${since(state.startedAtMs)}`;
    case "paused":
      return `Up ${since(state.startedAtMs)} (Paused)`;
    case "restarting":
      return `Restarting (${state.exitCode}) ${since(state.finishedAtMs)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "created":
      return "Created";
    case "exited":
      return `Exited (${state.exitCode}) ${since(state.finishedAtMs)} ago`;
  }
}

function commandOf(record: ContainerRecord): readonly string[] {
  return [...record.config.Entrypoint, ...record.config.Cmd];
}

function shellJoin(words: readonly string[]): string {
  return words.map((word) => (/[\s"']/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : word)).join(" ");
}

function wirePortList(record: ContainerRecord, endpoint: EndpointView | undefined): unknown[] {
  if (endpoint === undefined) return [];
  const published = new Set(endpoint.ports.map((port) => `${port.containerPort}/${port.protocol}`));
  const exposed = Object.keys(record.config.ExposedPorts).filter((port) => !published.has(port));
  return [
    ...endpoint.ports.map((p) => ({
      IP: p.hostIp,
      PrivatePort: p.containerPort,
      PublicPort: p.hostPort,
      Type: p.protocol,
    })),
    ...exposed.map((port) => ({ PrivatePort: Number.parseInt(port, 10), Type: port.split("/")[1] })),
  ];
}

function wireNetworks(view: ContainerView): unknown {
  const { record, endpoint } = view;
  const mode = record.host.NetworkMode === "default" ? "bridge" : record.host.NetworkMode;
  return {
    [endpoint?.networkName ?? mode]: {
      IPAMConfig: record.network.ip === "" ? null : { IPv4Address: record.network.ip },
      Links: null,
      Aliases: endpoint?.aliases ?? (record.network.aliases.length === 0 ? null : record.network.aliases),
      MacAddress: endpoint?.mac ?? "",
      DriverOpts: null,
      GwPriority: 0,
      NetworkID: endpoint?.networkId ?? "",
      EndpointID: endpoint === undefined ? "" : record.id,
      Gateway: endpoint?.gateway ?? "",
      IPAddress: endpoint?.ip ?? "",
      IPPrefixLen: endpoint?.prefixLength ?? 0,
      IPv6Gateway: "",
      GlobalIPv6Address: "",
      GlobalIPv6PrefixLen: 0,
      DNSNames: endpoint === undefined ? null : [record.name, record.id.slice(0, 12), ...endpoint.aliases],
    },
  };
}

function wireMount(mount: MountView): unknown {
  return {
    Type: mount.type,
    ...(mount.name === "" ? {} : { Name: mount.name, Driver: "local" }),
    Source: mount.source,
    Destination: mount.target,
    Mode: mount.mode,
    RW: !mount.readOnly,
    Propagation: mount.propagation,
  };
}

function wirePortMap(endpoint: EndpointView | undefined, record: ContainerRecord): unknown {
  const map: Record<string, { HostIp: string; HostPort: string }[] | null> = {};
  for (const port of endpoint === undefined ? [] : Object.keys(record.config.ExposedPorts)) map[port] = null;
  for (const port of endpoint?.ports ?? []) {
    const key = `${port.containerPort}/${port.protocol}`;
    (map[key] ??= []).push({ HostIp: port.hostIp, HostPort: String(port.hostPort) });
  }
  return map;
}

/** The whole of `docker inspect`. */
export function wireInspect(view: ContainerView): object {
  const { record, state, endpoint, paths } = view;
  const [path, ...args] = commandOf(record);
  return {
    Id: record.id,
    Created: isoTime(record.createdAtMs),
    Path: path ?? "",
    Args: args,
    State: wireState(state),
    Image: record.imageId,
    ResolvConfPath: paths.resolvConf,
    HostnamePath: paths.hostname,
    HostsPath: paths.hosts,
    LogPath: paths.log,
    Name: `/${record.name}`,
    RestartCount: state.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: view.execIds.length === 0 ? null : view.execIds,
    HostConfig: wireHostConfig(record),
    GraphDriver: { Name: "overlay2", Data: { LowerDir: view.layers.join(":"), UpperDir: view.upper } },
    Mounts: view.mounts.map(wireMount),
    Config: wireConfig(record),
    NetworkSettings: {
      Bridge: "",
      SandboxID: state.pid === 0 ? "" : record.id,
      SandboxKey: state.pid === 0 ? "" : `/proc/${state.pid}/ns/net`,
      Ports: wirePortMap(endpoint, record),
      EndpointID: endpoint?.networkName === "bridge" ? record.id : "",
      Gateway: endpoint?.gateway ?? "",
      IPAddress: endpoint?.ip ?? "",
      IPPrefixLen: endpoint?.prefixLength ?? 0,
      MacAddress: endpoint?.mac ?? "",
      Networks: wireNetworks(view),
    },
  };
}

function wireState(state: ContainerState): unknown {
  return {
    Status: state.status,
    Running: state.status === "running" || state.status === "paused" || state.status === "restarting",
    Paused: state.status === "paused",
    Restarting: state.status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: state.status === "dead",
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: isoTime(state.startedAtMs),
    FinishedAt: isoTime(state.finishedAtMs),
  };
}

function wireConfig(record: ContainerRecord): unknown {
  const { config } = record;
  return {
    ...config,
    ExposedPorts: Object.keys(config.ExposedPorts).length === 0 ? undefined : config.ExposedPorts,
    Cmd: config.Cmd.length === 0 ? null : config.Cmd,
    Entrypoint: config.Entrypoint.length === 0 ? null : config.Entrypoint,
    Volumes: Object.keys(config.Volumes).length === 0 ? null : config.Volumes,
    StopSignal: config.StopSignal === "" ? undefined : config.StopSignal,
    OnBuild: null,
  };
}

function wireHostConfig(record: ContainerRecord): unknown {
  const { host } = record;
  return {
    ...host,
    NetworkMode: host.NetworkMode === "default" ? "bridge" : host.NetworkMode,
    Binds: host.Binds.length === 0 ? null : host.Binds,
    Mounts: host.Mounts.length === 0 ? undefined : host.Mounts,
    Tmpfs: Object.keys(host.Tmpfs).length === 0 ? undefined : host.Tmpfs,
    CapAdd: host.CapAdd.length === 0 ? null : host.CapAdd,
    CapDrop: host.CapDrop.length === 0 ? null : host.CapDrop,
    SecurityOpt: host.SecurityOpt.length === 0 ? null : host.SecurityOpt,
    Sysctls: Object.keys(host.Sysctls).length === 0 ? undefined : host.Sysctls,
    PidsLimit: host.PidsLimit === 0 ? null : host.PidsLimit,
    CgroupnsMode: "private",
    Runtime: host.Runtime || "gantry",
    MaskedPaths: host.Privileged ? null : undefined,
  };
}
