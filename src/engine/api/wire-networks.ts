/** Networks and ports of a container as GET /containers/json and /containers/{id}/json show them. Pure. */
import type { ContainerRecord } from "../container.ts";
import type { ContainerView, EndpointView } from "./wire-container.ts";

/** The ports of one row of `docker ps`. */
export function wirePortList(record: ContainerRecord, endpoint: EndpointView | undefined): unknown[] {
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

/** `NetworkSettings.Networks`. */
export function wireNetworks(view: ContainerView): unknown {
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

/** `NetworkSettings.Ports`. */
export function wirePortMap(endpoint: EndpointView | undefined, record: ContainerRecord): unknown {
  const map: Record<string, { HostIp: string; HostPort: string }[] | null> = {};
  for (const port of endpoint === undefined ? [] : Object.keys(record.config.ExposedPorts)) map[port] = null;
  for (const port of endpoint?.ports ?? []) {
    const key = `${port.containerPort}/${port.protocol}`;
    (map[key] ??= []).push({ HostIp: port.hostIp, HostPort: String(port.hostPort) });
  }
  return map;
}
