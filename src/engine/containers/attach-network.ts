/** The network of a container's start: an endpoint in its bridge network, or nothing for `host` and `none`. */
import { type Attachment, type AttachRequest, planLoopback, type PortRequest } from "../../network/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import type { EngineDefaults } from "../engine-defaults.ts";
import { networkKind } from "../network-mode.ts";

/** What a start needs of its network. */
export type NetworkSetup = Partial<Pick<Attachment, "endpoint">> & Omit<Attachment, "endpoint">;

/**
 * Reserves address and ports. Undefined for the host's network, where there is nothing to do.
 * @throws {GantryError} "not-found" (network), "conflict" (a port in use), "exhausted" (no address left)
 */
export async function attachNetwork(
  { networks, defaults }: EngineContext,
  record: ContainerRecord,
): Promise<NetworkSetup | undefined> {
  const kind = networkKind(record.host.NetworkMode);
  if (kind.kind === "host") return undefined;
  if (kind.kind === "none") return { steps: planLoopback(), holdFds: [] };
  return networks.attach(attachRequest(record, kind.network, defaults));
}

/** Pure. */
export function attachRequest(
  record: ContainerRecord,
  network: string,
  defaults: Pick<EngineDefaults, "dns" | "publishIp">,
): AttachRequest {
  const { ip, mac, aliases } = record.network;
  return {
    containerId: record.id,
    name: record.name,
    network,
    ...(ip === "" ? {} : { ip }),
    ...(mac === "" ? {} : { mac }),
    aliases,
    ports: portRequests(record).map((port) => ({ ...port, hostIp: port.hostIp || defaults.publishIp })),
    dns: record.host.Dns.length > 0 ? record.host.Dns : defaults.dns,
  };
}

/** What `-p` and `-P` publish. Pure. */
export function portRequests({ config, host }: Pick<ContainerRecord, "config" | "host">): PortRequest[] {
  const requests: PortRequest[] = [];
  for (const [key, bindings] of Object.entries(host.PortBindings)) {
    const port = parsePort(key);
    // An empty list of bindings means: publish it, on whatever port.
    for (const binding of bindings.length === 0 ? [{ HostIp: "", HostPort: "" }] : bindings) {
      requests.push({ ...port, hostIp: binding.HostIp, hostPort: Number(binding.HostPort || 0) });
    }
  }
  if (!host.PublishAllPorts) return requests;
  for (const key of Object.keys(config.ExposedPorts)) {
    // sctp can be exposed, not published.
    if (host.PortBindings[key] === undefined && !key.endsWith("/sctp"))
      requests.push({ ...parsePort(key), hostIp: "", hostPort: 0 });
  }
  return requests;
}

function parsePort(key: string): Pick<PortRequest, "protocol" | "containerPort"> {
  const [port = "", protocol = "tcp"] = key.split("/");
  return { containerPort: Number(port), protocol: protocol === "udp" ? "udp" : "tcp" };
}
