/** Networks as the network calls show them (Docker Engine API 1.50). Pure. */
import type { Endpoint, Network } from "../../network/index.ts";

/** @param endpoints of the containers in it, by container id; undefined in lists */
export function wireNetwork(network: Network, endpoints?: readonly Endpoint[]): object {
  const { bridge } = network;
  return {
    Name: network.name,
    Id: network.id,
    Created: new Date(network.createdAtMs).toISOString(),
    Scope: "local",
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: "default",
      Options: null,
      Config:
        bridge === undefined
          ? null
          : [
              {
                Subnet: bridge.subnet,
                Gateway: bridge.gateway,
                ...(bridge.ipRange === "" ? {} : { IPRange: bridge.ipRange }),
              },
            ],
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      (endpoints ?? []).map((endpoint) => [endpoint.containerId, wireEndpoint(endpoint)]),
    ),
    Options:
      bridge === undefined
        ? network.options
        : { "com.docker.network.bridge.name": bridge.device, ...network.options },
    Labels: network.labels,
  };
}

function wireEndpoint(endpoint: Endpoint): object {
  return {
    Name: endpoint.name,
    EndpointID: endpoint.containerId,
    MacAddress: endpoint.mac,
    IPv4Address: `${endpoint.ip}/${endpoint.prefixLength}`,
    IPv6Address: "",
  };
}
