import { beforeEach, expect, test } from "bun:test";
import { Database } from "../lib/index.ts";
import { Attachments } from "./attachments.ts";
import { parseCidr } from "./ipv4.ts";
import { NetworkStore } from "./network-store.ts";
import type { AttachRequest, BridgeNetwork } from "./types.ts";

let db: Database;
let store: NetworkStore;
let attachments: Attachments;
let back: BridgeNetwork;
let unplugged: string[];
let openFds: Set<number>;
let changed: string[];

const id = (n: number): string => n.toString(16).padStart(64, "0");
const request = (n: number, over: Partial<AttachRequest> = {}): AttachRequest => ({
  containerId: id(n),
  name: `c${n}`,
  network: "back",
  aliases: [],
  ports: [],
  ...over,
});
const publish = (hostPort: number) => ({ protocol: "tcp", containerPort: 80, hostIp: "", hostPort }) as const;

function addNetwork(name: string, cidr: string, internal = false): BridgeNetwork {
  const { subnet } = parseCidr(cidr);
  const base = { createdAtMs: 0, attachable: false, predefined: false, labels: { a: "b" }, options: {} };
  const { bridge } = store.addNetwork({
    ...base,
    name,
    driver: "bridge",
    internal,
    addresses: { subnet, gateway: subnet.base + 1, range: subnet, chosen: false },
  });
  if (bridge === undefined) throw new Error("no bridge");
  return bridge;
}

function openAttachments(): Attachments {
  let nextFd = 100;
  return new Attachments({
    sys: {
      bindPort: (_protocol, _address, port) => {
        openFds.add(nextFd);
        return { fd: nextFd++, port };
      },
      close: (fd) => void openFds.delete(fd),
    },
    instance: "",
    store,
    dns: { endpointsChanged: (networkId) => void changed.push(networkId) },
    host: { bridgeIndex: () => 4096, unplug: ({ endpoint }) => void unplugged.push(endpoint.name) },
  });
}

beforeEach(() => {
  db = new Database(":memory:");
  store = new NetworkStore(db, "");
  unplugged = [];
  openFds = new Set();
  changed = [];
  back = addNetwork("back", "10.7.0.0/29");
  attachments = openAttachments();
});

test("addresses are given in order, freed by release, and remembered by the next engine", () => {
  const ips = [1, 2, 3].map((n) => attachments.attach(back, request(n, { aliases: ["x"] })).endpoint.ip);
  expect(ips).toEqual(["10.7.0.2", "10.7.0.3", "10.7.0.4"]);
  attachments.release(id(2));
  attachments.release(id(2));
  expect(unplugged).toEqual(["c2"]);
  const again = new NetworkStore(db, "");
  expect(again.endpoints()).toEqual(store.endpoints());
  expect(again.networks()).toEqual(store.networks());
  expect(attachments.attach(back, request(4)).endpoint.ip).toBe("10.7.0.3");
  expect(changed.every((networkId) => networkId === back.network.id)).toBe(true);
});

test("a full network refuses, and nothing is left of the attempt", () => {
  for (let n = 1; n <= 5; n++) attachments.attach(back, request(n));
  expect(() => attachments.attach(back, request(6, { ports: [publish(80)] }))).toThrow(
    "no available IPv4 addresses",
  );
  expect([store.endpoints().length, openFds.size]).toEqual([5, 0]);
});

test("a container that is attached again leaves its old place first", () => {
  attachments.attach(back, request(1, { ports: [publish(80)] }));
  const { endpoint } = attachments.attach(back, request(1, { ports: [publish(80)] }));
  expect([endpoint.ip, unplugged, store.endpoints().length]).toEqual(["10.7.0.2", ["c1"], 1]);
});

test("cable numbers are not used again at once", () => {
  const slots = [1, 2].map((n) => {
    attachments.attach(back, request(n));
    const slot = store.endpoint(id(n))?.slot;
    attachments.release(id(n));
    return slot;
  });
  expect(slots).toEqual([1, 2]);
});

test("a Linux bridge has 1023 places", () => {
  const wide = addNetwork("wide", "10.8.0.0/16");
  store.transaction(() => {
    for (let n = 1; n <= 1023; n++) attachments.attach(wide, request(n));
  });
  expect(new Set(store.endpoints().map(({ slot }) => slot)).size).toBe(1023);
  expect(() => attachments.attach(wide, request(5000))).toThrow(
    "network wide has 1023 containers, as many as a Linux bridge (gantry1) takes",
  );
});

test("wishes for addresses", () => {
  const { endpoint } = attachments.attach(back, request(1, { ip: "10.7.0.5", mac: "02-00-00-00-00-09" }));
  expect([endpoint.ip, endpoint.mac, endpoint.gateway, endpoint.prefixLength]).toEqual([
    "10.7.0.5",
    "02:00:00:00:00:09",
    "10.7.0.1",
    29,
  ]);
  expect(() => attachments.attach(back, request(2, { ip: "10.7.0.5" }))).toThrow("Address already in use");
  expect(() => attachments.attach(back, request(2, { mac: "zz" }))).toThrow("invalid MAC address");
});

test("an internal network publishes nothing", () => {
  const vault = addNetwork("vault", "10.9.0.0/24", true);
  const { endpoint, holdFds } = attachments.attach(vault, request(1, { ports: [publish(80)] }));
  expect([endpoint.ports, holdFds, endpoint.gateway]).toEqual([[], [], ""]);
});

test("preview reserves nothing and shows the present place of an attached container", () => {
  const before = attachments.preview(back, request(1, { ports: [publish(80)] }));
  expect([store.endpoints().length, openFds.size]).toEqual([0, 0]);
  const { steps } = attachments.attach(back, request(1, { ports: [publish(80)] }));
  expect(before).toEqual(steps);
  attachments.attach(back, request(2));
  expect(attachments.preview(back, request(1, { ports: [publish(80)] }))).toEqual(steps);
});

test("networks are found by name, id and the start of an id; a name wins over a start", () => {
  const { id: networkId } = back.network;
  for (const word of ["back", networkId, networkId.slice(0, 12)])
    expect(store.find(word).network.name).toBe("back");
  const other = addNetwork(networkId.slice(0, 4), "10.10.0.0/24");
  expect(store.find(networkId.slice(0, 4)).network.id).toBe(other.network.id);
  expect(() => store.find("nothing")).toThrow("network nothing not found");
  expect(() => store.find("")).toThrow("network  not found");
});

test("bridge numbers are used again when their network is gone", () => {
  const second = addNetwork("second", "10.11.0.0/24");
  expect([back.device, second.device]).toEqual(["gantry0", "gantry1"]);
  store.removeNetwork(back.network.id);
  expect(addNetwork("third", "10.12.0.0/24").device).toBe("gantry0");
});
