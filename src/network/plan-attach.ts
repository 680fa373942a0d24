/** What is asked of the kernel to plug a container into its network, and to unplug it. Pure. */
import { flushUdpFlows, NETLINK_NETFILTER, NETLINK_ROUTE, route } from "../kernel/index.ts";
import type { ContainerStep, ExtraSteps, MonitorStep, NetlinkMessage } from "../runtime/index.ts";
import { containerIfIndex, vethName } from "./names.ts";
import { addElements, portElements, removeElements } from "./port-elements.ts";
import type { BridgeNetwork, Endpoint } from "./types.ts";

export interface AttachPlanInput {
  readonly instance: string;
  readonly endpoint: Endpoint;
  readonly bridge: BridgeNetwork;
  /** Interface number of the bridge. */
  readonly bridgeIndex: number;
  /** Number of the cable on this bridge, 1 to 1023. */
  readonly slot: number;
  /** Bytes; 0: the kernel's default. */
  readonly mtu: number;
}

/**
 * The cable is made, plugged in and switched on by one message; a second one per published container adds its ports to the
 * maps. Inside, no message needs a look-up, because the interface's number is given by us.
 */
export function planAttach(input: AttachPlanInput): ExtraSteps {
  return { monitor: monitorSteps(input), container: containerSteps(input), teardown: teardownSteps(input) };
}

/** `--network none`: loopback only. */
export function planLoopback(): ExtraSteps {
  const step: ContainerStep = {
    do: "netlink",
    protocol: NETLINK_ROUTE,
    messages: [loopback],
    because: "--network none",
  };
  return { monitor: [], container: [step], teardown: [] };
}

const loopback: NetlinkMessage = { message: route.linkUp(1), description: "switch on lo" };

function monitorSteps({
  instance,
  endpoint,
  bridge,
  bridgeIndex,
  slot,
  mtu,
}: AttachPlanInput): MonitorStep[] {
  const name = vethName(instance, endpoint.containerId, slot);
  const because = `--network ${endpoint.networkName}`;
  const hostIndex = bridgeIndex + slot;
  const cable = route.createVethInto(name, "eth0", {
    hostIndex,
    peerIndex: containerIfIndex,
    mac: endpoint.mac,
    master: bridgeIndex,
    up: true,
    ...(mtu === 0 ? {} : { mtu }),
  });
  const messages: NetlinkMessage[] = [
    { ...cable, description: `create cable ${name} from bridge ${bridge.device} to eth0 of the container` },
  ];
  const quiet = quietStep(hostIndex, name, because);
  if (endpoint.ports.length === 0)
    return [{ do: "netlink", protocol: NETLINK_ROUTE, messages, because }, quiet];
  // Only a published container can come back to itself through the bridge: by its own published port.
  messages.push({
    message: route.setHairpin(hostIndex),
    description: `let ${name} send back to where it came from`,
  });
  const plug: MonitorStep = { do: "netlink", protocol: NETLINK_ROUTE, messages, because };
  return [plug, quiet, ...publishSteps(instance, endpoint)];
}

/** A kernel without IPv6 refuses it. */
function quietStep(index: number, name: string, because: string) {
  const message = route.withoutLinkLocal(index);
  return {
    do: "netlink",
    protocol: NETLINK_ROUTE,
    messages: [{ message, description: `give ${name} no IPv6 address of its own` }],
    because,
    optional: true,
  } as const;
}

function publishSteps(instance: string, endpoint: Endpoint): MonitorStep[] {
  const because = endpoint.ports
    .map((p) => `--publish ${p.hostIp}:${p.hostPort}:${p.containerPort}/${p.protocol}`)
    .join(" ");
  const elements = portElements(endpoint);
  const added: MonitorStep = {
    do: "netlink",
    protocol: NETLINK_NETFILTER,
    messages: [{ message: addElements(instance, elements), description: `publish ${portWords(endpoint)}` }],
    because,
  };
  const flows = endpoint.ports
    .filter((port) => port.protocol === "udp")
    .map((port) => ({
      message: flushUdpFlows(port.hostPort),
      description: `forget old UDP flows to port ${port.hostPort}`,
    }));
  if (flows.length === 0) return [added];
  // Kernels before 6.11 cannot; there, a client that kept sending reaches the container when its flow has timed out.
  return [added, { do: "netlink", protocol: NETLINK_NETFILTER, messages: flows, because, optional: true }];
}

function portWords(endpoint: Endpoint): string {
  return endpoint.ports
    .map((p) => `${p.hostIp}:${p.hostPort} to ${endpoint.ip}:${p.containerPort}/${p.protocol}`)
    .join(", ");
}

function containerSteps({ endpoint, bridge }: AttachPlanInput): ContainerStep[] {
  const messages: NetlinkMessage[] = [
    loopback,
    { message: route.linkUp(containerIfIndex), description: "switch on eth0" },
    {
      message: route.addAddress(containerIfIndex, endpoint.ip, endpoint.prefixLength),
      description: `give eth0 the address ${endpoint.ip}/${endpoint.prefixLength}`,
    },
  ];
  if (!bridge.network.internal) {
    messages.push({
      message: route.addRoute("default", endpoint.gateway, containerIfIndex),
      description: `send everything else to the gateway ${endpoint.gateway}`,
    });
  }
  const because = `--network ${endpoint.networkName}`;
  return [
    quietStep(containerIfIndex, "eth0", because),
    { do: "netlink", protocol: NETLINK_ROUTE, messages, because },
  ];
}

function teardownSteps({ instance, endpoint, slot }: AttachPlanInput): MonitorStep[] {
  const name = vethName(instance, endpoint.containerId, slot);
  // Switched off, not deleted: the cable goes with the namespace a moment later, and deleting it would keep the exit status
  // back for 20 ms (the kernel waits for RCU). What is off answers no more, so address and number are free at once.
  const unplug: MonitorStep = {
    do: "netlink",
    protocol: NETLINK_ROUTE,
    messages: [{ message: route.linkDown(name), description: `switch off cable ${name}` }],
    optional: true,
  };
  if (endpoint.ports.length === 0) return [unplug];
  const message = removeElements(instance, portElements(endpoint));
  const unpublish: MonitorStep = {
    do: "netlink",
    protocol: NETLINK_NETFILTER,
    messages: [{ message, description: `unpublish ${portWords(endpoint)}` }],
    optional: true,
  };
  return [unpublish, unplug];
}
