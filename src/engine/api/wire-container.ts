/** Containers as GET /containers/json and /containers/{id}/json show them (Docker Engine API 1.50). Pure. */
import type { ContainerRecord, ContainerState } from "../container.ts";
import { wireHostConfig } from "./wire-host-config.ts";
import { wireNetworks, wirePortList, wirePortMap } from "./wire-networks.ts";
import { isoTime, statusText, wireState } from "./wire-state.ts";

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

function commandOf(record: ContainerRecord): readonly string[] {
  return [...record.config.Entrypoint, ...record.config.Cmd];
}

function shellJoin(words: readonly string[]): string {
  return words.map((word) => (/[\s"']/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : word)).join(" ");
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

function wireConfig(record: ContainerRecord): unknown {
  const { config } = record;
  return {
    ...config,
    ExposedPorts: Object.keys(config.ExposedPorts).length === 0 ? undefined : config.ExposedPorts,
    Cmd: config.Cmd.length === 0 ? null : config.Cmd,
    Entrypoint: config.Entrypoint.length === 0 ? null : config.Entrypoint,
    Volumes: Object.keys(config.Volumes).length === 0 ? null : config.Volumes,
    StopSignal: config.StopSignal === "" ? undefined : config.StopSignal,
    NetworkDisabled: config.NetworkDisabled === true ? true : undefined,
    Shell: (config.Shell ?? []).length === 0 ? undefined : config.Shell,
    OnBuild: null,
  };
}
