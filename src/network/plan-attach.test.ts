import { describe, expect, test } from "bun:test";
import { NETLINK_NETFILTER, NETLINK_ROUTE } from "../kernel/index.ts";
import type { ContainerStep, MonitorStep } from "../runtime/index.ts";
import { parseCidr } from "./ipv4.ts";
import { planAttach, planLoopback } from "./plan-attach.ts";
import type { BridgeNetwork, Endpoint, PublishedPort } from "./types.ts";

const subnet = parseCidr("10.88.0.0/16").subnet;
const bridge = (internal: boolean): BridgeNetwork => ({
  network: {
    id: "n1",
    name: "back",
    driver: "bridge",
    createdAtMs: 0,
    internal,
    attachable: false,
    labels: {},
    options: {},
    predefined: false,
    bridge: undefined,
  },
  device: "gantry0",
  addresses: { subnet, gateway: subnet.base + 1, range: subnet },
});
const web: PublishedPort = { hostIp: "0.0.0.0", hostPort: 8080, containerPort: 80, protocol: "tcp" };
const endpoint = (ports: readonly PublishedPort[], gateway = "10.88.0.1"): Endpoint => ({
  containerId: "0123456789abcdef".repeat(4),
  name: "web",
  networkName: "back",
  networkId: "n1",
  ip: "10.88.0.2",
  prefixLength: 16,
  gateway,
  mac: "02:42:0a:58:00:02",
  aliases: [],
  ports,
});
const plan = (ports: readonly PublishedPort[], { internal = false, mtu = 0 } = {}) =>
  planAttach({
    instance: "",
    endpoint: endpoint(ports, internal ? "" : "10.88.0.1"),
    bridge: bridge(internal),
    bridgeIndex: 4096,
    slot: 7,
    mtu,
  });

const words = (steps: readonly (MonitorStep | ContainerStep)[]): string[] =>
  steps.flatMap((step) =>
    step.do === "netlink"
      ? step.messages.map(
          (message) => `${step.protocol}${step.optional === true ? "?" : ""} ${message.description}`,
        )
      : [step.do],
  );
const route = NETLINK_ROUTE;
const filter = NETLINK_NETFILTER;

describe("the plan of a start", () => {
  test("without ports: the cable is made on the host and dressed in the container; neither end has IPv6", () => {
    const { monitor, container, teardown } = plan([]);
    expect(words(monitor)).toEqual([
      `${route} create cable gv01234567007 from bridge gantry0 to eth0 of the container`,
      `${route}? give gv01234567007 no IPv6 address of its own`,
    ]);
    expect(words(container)).toEqual([
      `${route}? give eth0 no IPv6 address of its own`,
      `${route} switch on lo`,
      `${route} switch on eth0`,
      `${route} give eth0 the address 10.88.0.2/16`,
      `${route} send everything else to the gateway 10.88.0.1`,
    ]);
    expect(words(teardown)).toEqual([`${route}? switch off cable gv01234567007`]);
    expect([...monitor, ...container].map((step) => step.because)).toEqual([
      "--network back",
      "--network back",
      "--network back",
      "--network back",
    ]);
  });

  test("the cable says all in one message: numbers, bridge, address, and where the pid goes", () => {
    const step = plan([], { mtu: 1400 }).monitor[0];
    if (step?.do !== "netlink") throw new Error("no netlink step");
    const [first] = step.messages;
    const bytes = first?.message ?? new Uint8Array();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    expect(view.getUint32(0, true)).toBe(bytes.length);
    // ifi_index and IFF_UP of the host's end.
    expect([view.getUint32(20, true), view.getUint32(24, true)]).toEqual([4096 + 7, 1]);
    const has = (part: readonly number[]): boolean => Buffer.from(bytes).includes(Uint8Array.from(part));
    expect(has([8, 0, 10, 0, 0, 16, 0, 0])).toBe(true); // IFLA_MASTER 4096
    expect(has([8, 0, 4, 0, 120, 5, 0, 0])).toBe(true); // IFLA_MTU 1400
    expect(has([10, 0, 1, 0, 2, 66, 10, 88, 0, 2])).toBe(true); // IFLA_ADDRESS
    expect(first?.pidOffset).toBe(bytes.length - 4);
    expect(Buffer.from(bytes.subarray(-8))).toEqual(Buffer.from([8, 0, 19, 0, 0, 0, 0, 0])); // IFLA_NET_NS_PID
  });

  test("with ports: hairpin and map elements; UDP flows of before are forgotten", () => {
    const dns: PublishedPort = { hostIp: "192.0.2.1", hostPort: 53, containerPort: 5353, protocol: "udp" };
    const { monitor, teardown } = plan([web, dns]);
    const ports = "0.0.0.0:8080 to 10.88.0.2:80/tcp, 192.0.2.1:53 to 10.88.0.2:5353/udp";
    expect(words(monitor).slice(1)).toEqual([
      `${route} let gv01234567007 send back to where it came from`,
      `${route}? give gv01234567007 no IPv6 address of its own`,
      `${filter} publish ${ports}`,
      `${filter}? forget old UDP flows to port 53`,
    ]);
    expect(words(teardown)).toEqual([
      `${filter}? unpublish ${ports}`,
      `${route}? switch off cable gv01234567007`,
    ]);
    expect(monitor[2]?.because).toBe("--publish 0.0.0.0:8080:80/tcp --publish 192.0.2.1:53:5353/udp");
  });

  test("an internal network has no route out", () => {
    expect(words(plan([], { internal: true }).container)).toHaveLength(4);
  });

  test("--network none has its loopback", () => {
    expect(words(planLoopback().container)).toEqual([`${route} switch on lo`]);
  });
});
